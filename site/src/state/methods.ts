/** A method that can be compared. */
export interface MethodCard {
  readonly name: string;
  readonly title: string;
  /** What it does, in a few words. */
  readonly summary: string;
}

/** The methods that are offered, the one that this project makes first; the library knows more. */
export const METHODS: readonly MethodCard[] = [
  { name: 'ertacache', title: 'ERTACache', summary: 'calibrated steps, corrected answers' },
  { name: 'taylorseer-lite', title: 'TaylorSeer lite', summary: 'answers predicted by differences' },
  { name: 'teacache', title: 'TeaCache', summary: 'computes when enough has changed' },
  { name: 'magcache', title: 'MagCache', summary: 'measured magnitudes foretell the error' },
  { name: 'fbcache', title: 'First-block cache', summary: 'the first block says whether to go on' },
  { name: 'uniform', title: 'Uniform reuse', summary: 'evenly spread steps, last answer again' },
  { name: 'fewer-steps', title: 'Fewer steps', summary: 'no cache: longer steps' },
];

/** Those that are compared unless the visitor chooses others. */
export const USUAL_METHODS = ['ertacache', 'taylorseer-lite', 'uniform', 'fewer-steps'];
