/** A value as a weighted sum of computed outputs, by the number of their steps. */
export type Combined = ReadonlyMap<number, number>;

/** A computed output itself. */
export const itself = (step: number): Combined => new Map([[step, 1]]);

/** `Σ factor · value` */
export function sumOf(terms: readonly (readonly [factor: number, value: Combined])[]): Combined {
  const sum = new Map<number, number>();
  for (const [factor, value] of terms) {
    for (const [step, weight] of value) sum.set(step, (sum.get(step) ?? 0) + factor * weight);
  }
  return sum;
}

/** The weights of the computed outputs, in the order of `computed`. */
export const weightsOf = (value: Combined, computed: readonly number[]): number[] =>
  computed.map(step => value.get(step) ?? 0);
