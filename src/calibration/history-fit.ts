import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { dot } from './least-squares';
import type { Observer } from './observe';

/** The weights that runs add up to. */
export interface HistoryRecord {
  /** A fresh observer for every branch of every run. */
  observer(): Observer;
  /** For every step, what each output before it counts; see `fitHistory`. */
  weights(): number[][];
}

/** Products of the outputs of every two steps, over all branches and runs: all that L2P's fit needs. */
export function historyRecord(): HistoryRecord {
  const gram: number[][] = [];
  return {
    observer() {
      const outputs: Float32Array[] = [];
      return {
        async see({ index }, { output }) {
          const now = Float32Array.from(await output.data<'float32'>());
          outputs.push(now);
          const row = gram[index] ?? [];
          gram[index] = row;
          for (const [before, values] of outputs.entries()) row[before] = (row[before] ?? 0) + dot(values, now);
        },
        dispose() {},
      };
    },
    weights: () => fitHistory(gram),
  };
}

/** Outputs of neighbouring steps are nearly equal: without a ridge their weights would be huge and of opposite sign. */
const RIDGE = 1e-6;

/**
 * L2P's weights (arXiv 2604.26365) in closed form: for every step the least squares over the outputs before it, on
 * uncached runs, with a small ridge.
 * @param gram `gram[t]` holds the products of the output of step t with those of all steps up to it, summed over the runs
 * @returns `weights[t]` has t numbers
 */
export function fitHistory(gram: readonly (readonly number[])[]): number[][] {
  return gram.map((row, step) => {
    if (step === 0) return [];
    const before = new Matrix(
      Array.from({ length: step }, (_, i) =>
        Array.from({ length: step }, (__, j) => gram[Math.max(i, j)]?.[Math.min(i, j)] as number),
      ),
    );
    before.add(Matrix.eye(step).mul(RIDGE * ((row[step] as number) || 1)));
    return new CholeskyDecomposition(before).solve(Matrix.columnVector(row.slice(0, step))).to1DArray();
  });
}
