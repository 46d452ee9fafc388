import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { partsOf } from '../cache/evaluation';
import type { CachePolicy, StepInfo } from '../cache/policy';
import { release } from '../nn/scope';
import type { Job } from '../sampling/pipeline';
import { type LoopOptions, sampleLoop } from '../sampling/sample-loop';
import type { Tokens } from '../transformer/denoiser';

/** What an uncached step shows to the calibration of a cache that works inside the model; borrowed. */
export interface Sight {
  /** The signal that TeaCache compares. */
  readonly modulated: Tensor;
  /** What the blocks added to the image tokens. */
  readonly residual: Tensor;
  /** The model's output. */
  readonly output: Tensor;
}

/** The eyes on one branch of one run. */
export interface Observer {
  see(step: StepInfo, sight: Sight): Promise<void>;
  dispose(): void;
}

/** Computes every step and shows it to a fresh observer for every branch. */
export function observed(branchObserver: () => Observer): CachePolicy {
  return {
    name: 'observed',
    begin: () => ({
      branch() {
        const observer = branchObserver();
        return {
          async evaluate(step, evaluation) {
            const parts = partsOf(evaluation, 'This calibration');
            const stream = parts.embed();
            const modulated = await parts.signal();
            let tokens: Tokens | undefined;
            let residual: Tensor | undefined;
            let output: Tensor | undefined;
            try {
              const whole = await parts.blocks(stream);
              tokens = whole;
              residual = tf.tidy(() => tf.sub(whole.hidden, stream.tokens.hidden));
              output = parts.head(whole);
              await observer.see(step, { modulated, residual, output });
              return { output, decision: 'compute' };
            } catch (error) {
              release(output);
              throw error;
            } finally {
              release([modulated, tokens, residual]);
            }
          },
          bytes: () => 0,
          dispose: () => observer.dispose(),
        };
      },
      dispose() {},
    }),
  };
}

/** Runs every job uncached, with fresh observers for its branches. */
export async function observeRuns(
  jobs: readonly Job[],
  observerOf: (job: Job) => Observer,
  options: LoopOptions = {},
): Promise<void> {
  for (const job of jobs) {
    const run = { ...job, solver: job.solver() };
    const { latents } = await sampleLoop(
      run,
      observed(() => observerOf(job)),
      options,
    );
    latents.dispose();
  }
}

/** How many pairs of prompt and seed a job runs; guidance may give each two rows. */
export const pairsOf = (job: Job): number => job.latents.shape[0] as number;

/** One observer made of several. */
export function together(...observers: readonly Observer[]): Observer {
  return {
    async see(step, sight) {
      for (const observer of observers) await observer.see(step, sight);
    },
    dispose() {
      for (const observer of observers) observer.dispose();
    },
  };
}
