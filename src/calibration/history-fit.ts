import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import type { HistoryFit } from '../cache/l2p';
import { dot } from './least-squares';
import type { Observer } from './observe';

/** Products of the outputs of every two steps: all that L2P's fit needs. */
export interface HistoryRecord {
  /** A fresh observer for every branch of every run. */
  observer(): Observer;
  /** Of every branch and run, `[step][step before][branch seen]`. */
  seen(): number[][][];
}

/** For every step, what each output before it counts, by what several records have seen, for every ridge; see `fitHistory`. */
export function historyFits(records: readonly (readonly (readonly (readonly number[])[])[])[]): HistoryFit[] {
  const [first = []] = records;
  // One by one, in the order of the runs: sums of other parts would have other last digits.
  const total = (step: number, before: number): number =>
    records.flatMap(seen => seen[step]?.[before] ?? []).reduce((sum, product) => sum + product, 0);
  const gram = first.map((row, step) => row.map((_, before) => total(step, before)));
  return RIDGES.map(ridge => ({ ridge, weights: fitHistory(gram, ridge) }));
}

export function historyRecord(): HistoryRecord {
  const all: number[][][] = [];
  return {
    observer() {
      const outputs: Float32Array[] = [];
      return {
        async see({ index }, { output }) {
          const now = Float32Array.from(await output.data<'float32'>());
          outputs.push(now);
          const row = all[index] ?? [];
          all[index] = row;
          for (const [before, values] of outputs.entries()) row[before] = [...(row[before] ?? []), dot(values, now)];
        },
        dispose() {},
      };
    },
    seen: () => all,
  };
}

/**
 * Outputs of neighbouring steps are nearly equal: with a small ridge their weights are large and of opposite sign, and
 * grow where rebuilt outputs are rebuilt from. Which one serves best depends on the schedule.
 */
const RIDGES = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1] as const;

/**
 * L2P's weights (arXiv 2604.26365) in closed form: for every step the least squares over the outputs before it, on
 * uncached runs, held to "repeat the last output" by a ridge.
 * @param gram `gram[t]` holds the products of the output of step t with those of all steps up to it, summed over the runs
 * @param ridge as a part of the step's own squared norm
 * @returns `weights[t]` has t numbers
 */
export function fitHistory(gram: readonly (readonly number[])[], ridge: number): number[][] {
  return gram.map((row, step) => {
    if (step === 0) return [];
    const before = new Matrix(
      Array.from({ length: step }, (_, i) =>
        Array.from({ length: step }, (__, j) => gram[Math.max(i, j)]?.[Math.min(i, j)] as number),
      ),
    );
    const strength = ridge * ((row[step] as number) || 1);
    before.add(Matrix.eye(step).mul(strength));
    const wanted = row.slice(0, step).map((product, j) => product + (j === step - 1 ? strength : 0));
    return new CholeskyDecomposition(before).solve(Matrix.columnVector(wanted)).to1DArray();
  });
}
