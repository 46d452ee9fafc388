import { mean } from '../../metrics/statistics';
import { inTurn } from '../in-turn';
import type { Reference } from '../reference';
import { rowDistances } from '../rehearsal';

/** Mean L1 distance between the guided outputs of every two steps of the uncached runs, `[i][j]`, i < j. */
export async function pairwiseDistances(references: readonly Reference[]): Promise<number[][]> {
  const steps = references[0]!.outputs.length;
  const table: number[][] = [];
  for (let i = 0; i < steps; i++) {
    const row = Array<number>(steps).fill(0);
    for (let j = i + 1; j < steps; j++) {
      row[j] = mean((await inTurn(references, r => rowDistances(r.outputs[i]!, r.outputs[j]!))).flat());
    }
    table.push(row);
  }
  return table;
}

/** How a schedule's cost weighs what is reused. */
export interface CostShape {
  /** Later steps count `σ^-tilt` times as much. */
  readonly tilt: number;
  /** Distances are raised to this: squared, one large error costs more than many small ones. */
  readonly power: number;
}

/**
 * What reusing step `from` up to (not including) step `to` costs: the outputs' distances, weighted by step length and
 * over time. Early errors are mostly contracted away by the model and late ones are final; but where two pictures are
 * possible, the early ones decide which of them comes out. So a global schedule needs a weight over time (the idea of
 * GCache), and which one is best differs from model to model.
 */
export function reuseCost(
  distances: readonly (readonly number[])[],
  sigmas: readonly number[],
  { tilt, power }: CostShape,
): (from: number, to: number) => number {
  return (from, to) => {
    let cost = 0;
    for (let k = from + 1; k < to; k++) {
      const length = (sigmas[k] as number) - (sigmas[k + 1] as number);
      cost += (distances[from]![k] as number) ** power * length * (sigmas[k] as number) ** -tilt;
    }
    return cost;
  };
}

/**
 * The schedule of exactly `computed` computed steps whose reuse costs least: a shortest path over steps.
 * @returns which steps are reused; the first never is
 */
export function shortestSchedule(
  steps: number,
  computed: number,
  cost: (from: number, to: number) => number,
): boolean[] {
  // best[n][i]: least cost of reaching step i, computed, as the n-th computed step.
  const best = Array.from({ length: computed + 1 }, () => Array<number>(steps + 1).fill(Number.POSITIVE_INFINITY));
  const previous = Array.from({ length: computed + 1 }, () => Array<number>(steps + 1).fill(-1));
  best[0]![0] = 0;
  for (let n = 1; n <= computed; n++) {
    for (let to = n; to <= steps; to++) {
      for (let from = n - 1; from < to; from++) {
        const total = (best[n - 1]![from] as number) + cost(from, to);
        if (total < (best[n]![to] as number)) {
          best[n]![to] = total;
          previous[n]![to] = from;
        }
      }
    }
  }
  const reused = Array<boolean>(steps).fill(true);
  for (let n = computed, at = steps; n > 0; n--) {
    at = previous[n]![at] as number;
    reused[at] = false;
  }
  return reused;
}
