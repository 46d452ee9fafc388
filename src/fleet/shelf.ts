/** In which order a worker looks for jobs. */
export interface Shelf {
  /** Models whose jobs are looked for, one after the other. @param held those in memory */
  inTurn(held: readonly string[]): string[];
  /** A job of this model was taken. */
  served(model: string): void;
}

/** A model whose jobs were passed over for so long comes before those in memory, in milliseconds. */
const PATIENCE_MS = 30_000;

/**
 * Models in memory come first: to load another one takes longer than a picture. So that no model waits for ever, one that
 * had no turn for half a minute is looked at first.
 */
export function shelf(models: readonly string[], now: () => number = Date.now): Shelf {
  const last = new Map(models.map(model => [model, now()]));
  return {
    inTurn(held) {
      const rank = (model: string): number => {
        if (now() - (last.get(model) ?? 0) > PATIENCE_MS && !held.includes(model)) return 0;
        return held.includes(model) ? 1 : 2;
      };
      const waited = [...models].sort((a, b) => (last.get(a) ?? 0) - (last.get(b) ?? 0));
      const turn = waited.sort((a, b) => rank(a) - rank(b));
      // It had its turn, whether there are jobs of it or not.
      for (const model of turn) if (rank(model) === 0) last.set(model, now());
      return turn;
    },
    served: model => void last.set(model, now()),
  };
}
