/**
 * What a computed step shows at no cost of how well a run goes on, as root mean squares relative to that of its output: by
 * how much the output was corrected, by how much it differs from the last computed one, and how far guidance's two outputs
 * lie apart.
 */
export type SignalName = 'correction' | 'change' | 'gap';
/** All signals of a step. */
export const signalNames = ['correction', 'change', 'gap'] as const satisfies readonly SignalName[];
/** The signals of one picture at one step; 0 for one that the run has not. */
export type Signals = Readonly<Record<SignalName, number>>;
