import * as tf from '@tensorflow/tfjs-core';
import { mean } from '../metrics/statistics';
import type { Job } from '../sampling/pipeline';
import type { LoopOptions } from '../sampling/sample-loop';
import { type Observer, observeRuns } from './observe';

/** Added to a magnitude that is divided by. */
const EPS = 1e-8;

/** The magnitude ratios that runs add up to. */
export interface RatioRecord {
  /** A fresh observer for every branch of every run. */
  observer(): Observer;
  /** One a step, the first 1: the mean over all tokens of all rows seen. */
  ratios(): number[];
  /** The mean ratio of every row seen, `[step][row]`. */
  seen(): number[][];
}

/** The mean over the rows of several records, one a step. */
export function meanRatios(records: readonly (readonly (readonly number[])[])[]): number[] {
  const [first = []] = records;
  return first.map((_, step) => mean(records.flatMap(seen => seen[step] ?? [])));
}

/**
 * MagCache's calibration (diffusers `MagCacheConfig(calibrate=True)`): how the L2 norm of a token's residual changes
 * from step to step. Branches and runs are averaged.
 */
export function ratioRecord(): RatioRecord {
  const seen: number[][] = [];
  return {
    observer() {
      let before: tf.Tensor | undefined;
      return {
        async see({ index }, { residual }) {
          const norms = tf.tidy(() => tf.norm(residual, 'euclidean', -1));
          const rows = tf.tidy(() => (before ? tf.mean(tf.div(norms, tf.add(before, EPS)), -1) : tf.ones([1])));
          before?.dispose();
          before = norms;
          seen[index] = [...(seen[index] ?? []), ...(await rows.data<'float32'>())];
          rows.dispose();
        },
        dispose: () => before?.dispose(),
      };
    },
    ratios: () => meanRatios([seen]),
    seen: () => seen,
  };
}

/** Measures the ratios of a model on uncached runs of `jobs`. */
export async function measureRatios(jobs: readonly Job[], options: LoopOptions = {}): Promise<number[]> {
  const record = ratioRecord();
  await observeRuns(jobs, record.observer, options);
  return record.ratios();
}
