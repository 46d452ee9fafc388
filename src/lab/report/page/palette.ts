/** How a method is drawn: families share a colour, their members differ in dash and mark. */
export interface Look {
  /** A CSS colour; those of the page's palette follow light and dark. */
  readonly colour: string;
  readonly dash: readonly number[];
  readonly mark: Mark;
  /** Drawn last and heavier. */
  readonly strong: boolean;
}

export type Mark = 'circle' | 'square' | 'diamond' | 'triangle-up' | 'triangle-down' | 'cross';

/**
 * Okabe and Ito's colours, which people with any common colour blindness tell apart, in a light and a dark shade. Marks
 * and dashes tell the same without colour.
 */
export const COLOURS = {
  vermilion: ['#c2410c', '#ff9257'],
  blue: ['#0067a8', '#6ab7f5'],
  green: ['#00805d', '#3fd0a2'],
  purple: ['#a94a83', '#eda0cc'],
  gold: ['#8f6400', '#e9bd4f'],
  grey: ['#69707d', '#a7afbd'],
  ink: ['#14181f', '#eef1f6'],
} as const;

const SOLID: readonly number[] = [];
const DASHED: readonly number[] = [7, 4];
const DOTTED: readonly number[] = [2, 3];

const look = (colour: keyof typeof COLOURS, mark: Mark, dash = SOLID, strong = false): Look => ({
  colour: `var(--${colour})`,
  dash,
  mark,
  strong,
});

const looks: Readonly<Record<string, Look>> = {
  ertacache: look('vermilion', 'circle', SOLID, true),
  'ertacache-paper': look('vermilion', 'diamond', DASHED),
  'fewer-steps': look('blue', 'circle'),
  'fewer-steps-searched': look('blue', 'square', DASHED),
  'multistep-searched': look('blue', 'triangle-up', DOTTED),
  uniform: look('grey', 'cross'),
  teacache: look('green', 'square'),
  fbcache: look('purple', 'triangle-up'),
  magcache: look('gold', 'diamond'),
  taylorseer: look('ink', 'triangle-down'),
  'taylorseer-lite': look('ink', 'triangle-up', DASHED),
};

const OTHERS: readonly Look[] = (['blue', 'green', 'purple', 'gold', 'grey', 'ink'] as const).flatMap(colour => [
  look(colour, 'circle'),
  look(colour, 'square', DASHED),
]);

/** The look of a method; a method without one of its own gets one by its place among all. */
export function lookOf(method: string, place = 0): Look {
  return looks[method] ?? (OTHERS[place % OTHERS.length] as Look);
}
