import type { Tensor } from '@tensorflow/tfjs-core';
import { Matrix, solve } from 'ml-matrix';
import { evaluatePolynomial } from '../cache/teacache';
import { NumericError } from '../errors';
import { mean } from '../metrics/statistics';
import { release } from '../nn/scope';
import type { Job } from '../sampling/pipeline';
import type { LoopOptions } from '../sampling/sample-loop';
import { type Observer, observeRuns, pairsOf, type Sight } from './observe';
import { rowDistances, rowNorms } from './rehearsal';

/** Degree of TeaCache's polynomials. */
export const DEGREE = 4;

/** What the polynomial foretells: the change of what a reuse keeps, or of the model's output. */
export type FitTarget = Extract<keyof Sight, 'residual' | 'output'>;

/** Relative change of the signal and of the target from one step to the next, on one prompt and seed. */
export interface ChangePoint {
  readonly input: number;
  readonly output: number;
}

export interface PolynomialFit {
  /** Highest power first, as `teacache` takes them. */
  readonly coefficients: readonly number[];
  /** Share of the points' variance that the polynomial explains. */
  readonly r2: number;
  readonly points: number;
}

/** The changes that runs show, for the fit. */
export interface ChangeRecord {
  /** A fresh observer for every branch of a run of `pairs` rows (or a multiple: guidance doubles them). */
  observer(pairs: number): Observer;
  points(): readonly ChangePoint[];
}

export function changeRecord(target: FitTarget = 'residual'): ChangeRecord {
  const points: ChangePoint[] = [];
  return {
    observer(pairs) {
      let before: { input: Tensor; output: Tensor } | undefined;
      return {
        async see(_step, sight) {
          const now = { input: sight.modulated.clone(), output: sight[target].clone() };
          if (before) {
            const input = await pairChanges(now.input, before.input, pairs);
            const output = await pairChanges(now.output, before.output, pairs);
            points.push(...input.map((x, i) => ({ input: x, output: output[i] as number })));
          }
          release(before);
          before = now;
        },
        dispose: () => release(before),
      };
    },
    points: () => points,
  };
}

/** Relative change of every pair: of its own row, or of its conditional and unconditional row together. */
async function pairChanges(now: Tensor, before: Tensor, pairs: number): Promise<number[]> {
  const [distances, norms] = [await rowDistances(now, before), await rowNorms(before)];
  const ofPair = (values: readonly number[], pair: number): number =>
    values.reduce((sum, v, row) => (row % pairs === pair ? sum + v : sum), 0);
  return Array.from({ length: pairs }, (_, pair) => ofPair(distances, pair) / ofPair(norms, pair));
}

/**
 * The polynomial that foretells the change of the target from the change of the signal, by least squares over all
 * points.
 * @throws NumericError when a change is not finite
 */
export function fitPolynomial(points: readonly ChangePoint[], degree = DEGREE): PolynomialFit {
  if (points.length === 0 || !points.every(p => Number.isFinite(p.input) && Number.isFinite(p.output))) {
    throw new NumericError('The changes that a polynomial should be fitted to are not all numbers.', {
      hint: 'Check the checkpoint with `ertacache info`, and calibrate with at least two steps.',
    });
  }
  // Powers of numbers in [0, 1] stay comparable; the scale is taken out of the coefficients again.
  const scale = Math.max(...points.map(p => p.input)) || 1;
  const terms = Math.min(degree + 1, points.length);
  const powers = new Matrix(points.map(p => Array.from({ length: terms }, (_, k) => (p.input / scale) ** k)));
  // By singular values: equal points give the smallest coefficients, not a failure.
  const solved = solve(powers, Matrix.columnVector(points.map(p => p.output)), true).to1DArray();
  const coefficients = solved.map((c, k) => c / scale ** k).reverse();
  const centre = mean(points.map(p => p.output));
  const sumOfSquares = (error: (p: ChangePoint) => number): number => points.reduce((sum, p) => sum + error(p) ** 2, 0);
  const unexplained = sumOfSquares(p => p.output - evaluatePolynomial(coefficients, p.input));
  const variance = sumOfSquares(p => p.output - centre);
  return { coefficients, r2: variance > 0 ? 1 - unexplained / variance : 1, points: points.length };
}

/** Fits TeaCache's polynomial to a model on uncached runs of `jobs`. */
export async function fitTeaCache(
  jobs: readonly Job[],
  options: LoopOptions & { readonly target?: FitTarget } = {},
): Promise<PolynomialFit> {
  const record = changeRecord(options.target);
  await observeRuns(jobs, job => record.observer(pairsOf(job)), options);
  return fitPolynomial(record.points());
}
