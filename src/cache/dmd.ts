import * as tf from '@tensorflow/tfjs-core';
import { EigenvalueDecomposition, Matrix, SingularValueDecomposition, solve } from 'ml-matrix';
import { z } from 'zod';
import { PolicyError } from '../errors';
import { release } from '../nn/scope';
import { parseState, tensorState } from '../nn/state';
import { requireSteps } from './ertacache';
import { taylorForecast } from './forecast';
import { type BranchCache, type CachePolicy, tensorBytes } from './policy';

/** Settings of DMD. */
export interface DmdOptions {
  /** Which steps are rebuilt instead of computed. */
  readonly reused: readonly boolean[];
  /** Computed outputs that are kept at most; 6 unless given, and at least 4. */
  readonly history?: number | undefined;
}

/** Fewer outputs do not tell even one oscillation. */
const LEAST = 4;
/** Modes whose singular value is a smaller share of the largest are noise. */
const LEAST_MODE = 1e-4;

/**
 * DMD, as the calibrator of that name in cache-dit: dynamic mode decomposition (Prony's method) of the last computed
 * outputs, as far as these are evenly spaced. One linear map leads from each to the next; a fraction of its power leads on
 * to the step to rebuild, so sums of exponentials are forecast exactly. Where fewer than four evenly spaced outputs are
 * kept, the line through the last two is followed.
 *
 * Each picture of a batch has its own map.
 * @param options schedule, and how many outputs are kept
 * @returns the caching method
 * @throws PolicyError when the first step is not computed or fewer than four outputs are kept
 */
export function dmd({ reused, history = 6 }: DmdOptions): CachePolicy {
  if (reused[0] || !Number.isInteger(history) || history < LEAST) {
    throw new PolicyError(`DMD cannot forecast from ${history} outputs${reused[0] ? ' before the first step' : ''}.`, {
      hint: `Compute the first step, and keep a whole number of outputs from ${LEAST}.`,
    });
  }
  return {
    name: 'dmd',
    begin(run) {
      requireSteps({ reused }, run.steps);
      return { branch: () => dmdBranch(reused, history, run.sigmas), dispose() {} };
    },
  };
}

const stateForm = z.array(z.object({ step: z.int(), value: tensorState }));

interface Snapshot {
  readonly step: number;
  readonly value: tf.Tensor;
}

function dmdBranch(reused: readonly boolean[], most: number, sigmas: readonly number[]): BranchCache {
  /** The last first. */
  let kept: Snapshot[] = [];
  const line = taylorForecast(1);
  return {
    async evaluate({ index }, evaluation) {
      // Nothing is kept either where another model takes over.
      if (!reused[index] || kept.length === 0) {
        const output = await evaluation.compute();
        kept.unshift({ step: index, value: output.clone() });
        release(kept.splice(most).map(s => s.value));
        return { output, decision: 'compute' };
      }
      const [last, before] = kept as [Snapshot, Snapshot | undefined];
      const spacing = before ? last.step - before.step : 0;
      const odd = kept.findIndex((s, n) => s.step !== last.step - n * spacing);
      const even = odd < 0 ? kept : kept.slice(0, odd);
      const rows = last.value.shape[0] as number;
      const weights =
        even.length >= LEAST
          ? await modeWeights(even.map(s => s.value).reverse(), (index - last.step) / spacing)
          : Array<readonly number[]>(rows).fill(line.weights({ computed: kept.map(s => s.step), at: index, sigmas }));
      return { output: combined(kept, weights), decision: 'reuse' };
    },
    bytes: () => tensorBytes(kept.map(s => s.value)),
    state: () => kept.map(({ step, value }) => ({ step, value })),
    restore(state) {
      const given = parseState(stateForm, state);
      release(kept.map(s => s.value));
      kept = given.map(({ step, value }) => ({ step, value: value.clone() }));
    },
    dispose: () => release(kept.map(s => s.value)),
  };
}

/** `Σ weight · value`, with weights of their own for every row; those of the newest snapshot first. */
function combined(kept: readonly Snapshot[], weights: readonly (readonly number[])[]): tf.Tensor {
  return tf.tidy(() => {
    const products = kept.flatMap(({ value }, n) => {
      const own = weights.map(row => row[n] ?? 0);
      if (own.every(w => w === 0)) return [];
      return [tf.mul(value, tf.tensor(own, [own.length, ...Array<number>(value.rank - 1).fill(1)]))];
    });
    return products.reduce((sum, product) => tf.add(sum, product));
  });
}

/** For every row, the weights of the snapshots, the newest first, in the value `ahead` spacings after the newest. */
async function modeWeights(oldestFirst: readonly tf.Tensor[], ahead: number): Promise<number[][]> {
  const values: Float32Array[] = [];
  for (const snapshot of oldestFirst) values.push(await snapshot.data<'float32'>());
  const rows = oldestFirst[0]?.shape[0] as number;
  const size = (values[0] as Float32Array).length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const own = values.map(v => v.subarray(row * size, (row + 1) * size));
    return dmdWeights(own, ahead).reverse();
  });
}

/**
 * The weights of equally spaced snapshots in the forecast `ahead` spacings after the last one; all on the last where the
 * fit fails. All that is needed of the snapshots are their inner products.
 * @param snapshots at least three, the oldest first
 */
export function dmdWeights(snapshots: readonly ArrayLike<number>[], ahead: number): number[] {
  const count = snapshots.length;
  const reuse = snapshots.map((_, i) => (i === count - 1 ? 1 : 0));
  const gram = new Matrix(snapshots.map(a => snapshots.map(b => dot(a, b))));
  const before = gram.subMatrix(0, count - 2, 0, count - 2);
  if (!before.to1DArray().every(Number.isFinite) || before.trace() <= 0) return reuse;
  const { diagonal, leftSingularVectors } = new SingularValueDecomposition(before);
  const rank = diagonal.filter(s => s > LEAST_MODE ** 2 * (diagonal[0] as number)).length;
  // Columns of `basis` combine snapshots to orthonormal modes of all but the last.
  const basis = leftSingularVectors.subMatrix(0, count - 2, 0, rank - 1);
  for (let r = 0; r < rank; r++) basis.mulColumn(r, 1 / Math.sqrt(diagonal[r] as number));
  const across = gram.subMatrix(0, count - 2, 1, count - 1);
  const after = gram.subMatrix(1, count - 1, 1, count - 1);
  const map = basis.transpose().mmul(across).mmul(basis);
  const toLast = basis.transpose().mmul(after.getColumnVector(count - 2));
  const amplitudes = solve(basis.transpose().mmul(after).mmul(basis), toLast, true);
  const led = realPower(map, ahead).mmul(amplitudes);
  const weights = [0, ...basis.mmul(led).to1DArray()];
  return weights.every(Number.isFinite) ? weights : reuse;
}

/** The real part of a power of a real matrix, by its eigenvalues. */
function realPower(matrix: Matrix, power: number): Matrix {
  const found = new EigenvalueDecomposition(matrix);
  const { realEigenvalues: real, imaginaryEigenvalues: imaginary, eigenvectorMatrix: vectors } = found;
  const size = real.length;
  const powers = Matrix.zeros(size, size);
  for (let i = 0; i < size; i++) {
    const [re, im] = [real[i] as number, imaginary[i] as number];
    const radius = Math.hypot(re, im) ** power;
    const angle = power * Math.atan2(im, re);
    powers.set(i, i, radius * Math.cos(angle));
    // Pairs of complex eigenvalues stand as two real columns.
    if (im > 0 && i + 1 < size) powers.set(i, i + 1, radius * Math.sin(angle));
    if (im < 0 && i > 0) powers.set(i, i - 1, radius * Math.sin(angle));
  }
  return vectors.mmul(powers).mmul(solve(vectors, Matrix.eye(size), true));
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
