/**
 * A size that is known only when the graph runs: the length of an input's axis, in steps of `unit` (rounded up).
 * Video models count in patches, so that everything else is a product of whole numbers.
 */
export interface Size {
  readonly input: string;
  readonly axis: number;
  readonly unit: number;
}

/** A whole number times sizes. */
export interface Term {
  readonly factor: number;
  readonly sizes: readonly Size[];
}

/** A sum of terms: how a shape is derived from the sizes of the inputs. */
export type Expression = readonly Term[];

export function sizeKey({ input, axis, unit }: Size): string {
  return `${input}[${axis}]/${unit}`;
}

export function expressionKey(expression: Expression): string {
  return expression.map(({ factor, sizes }) => [factor, ...sizes.map(sizeKey)].join('*')).join('+');
}

/** What an expression is worth where every size has a value. */
export function evaluate(expression: Expression, value: (size: Size) => number): number {
  return expression.reduce((sum, { factor, sizes }) => sum + sizes.reduce((p, size) => p * value(size), factor), 0);
}
