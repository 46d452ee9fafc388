import { batches } from '../../calibration/pairs';
import type { Bench } from './bench';
import { type Comparison, cellOf } from './comparison';
import type { Contender, Passes } from './contender';
import type { Store } from './store';

/** A method at a budget that is still to be measured. */
export interface PlannedCell {
  readonly contender: Contender;
  readonly budget: number;
  readonly preparation: Passes;
  readonly measuring: Passes;
  readonly timing: Passes;
}

/** What is left to do of a comparison, in forward passes of one pair. */
export interface Plan {
  readonly references: number;
  readonly cells: readonly PlannedCell[];
  /** At most this many passes in all. */
  readonly total: Passes;
}

/** Lays out what a comparison still needs. Calibration is planned at the most that it may take. */
export function planWork(
  store: Store,
  contenders: readonly Contender[],
  bench: Bench,
  missing: readonly number[],
): Plan {
  const { request } = store.comparison;
  const { steps, evaluation, timed, batch } = request;
  const groups = batches(evaluation, batch);
  const references = missing.reduce((sum, b) => sum + steps * (groups[b]?.length ?? 0), 0);
  const cells = request.budgets.flatMap(budget =>
    contenders.flatMap(contender => {
      if (isSettled(store.comparison, contender.name, budget)) return [];
      const passes = evaluation.length * budget;
      return [
        {
          contender,
          budget,
          preparation: contender.cost({ steps, computed: budget }, bench),
          measuring: contender.dynamic ? { batched: 0, single: passes } : { batched: passes, single: 0 },
          timing: { batched: 0, single: timed === 0 ? 0 : budget + timed * (steps + budget) },
        },
      ];
    }),
  );
  const parts = cells.flatMap(c => [c.preparation, c.measuring, c.timing]);
  return {
    references,
    cells,
    total: {
      batched: references + parts.reduce((sum, p) => sum + p.batched, 0),
      single: parts.reduce((sum, p) => sum + p.single, 0),
    },
  };
}

/** Nothing is left to do for this method at this budget. */
export function isSettled(comparison: Comparison, method: string, budget: number): boolean {
  return (
    cellOf(comparison, method, budget) !== undefined ||
    comparison.refused.some(r => r.method === method && r.budget === budget)
  );
}

export const passesOf = ({ batched, single }: Passes): number => batched + single;
