import * as tf from '@tensorflow/tfjs-core';
import { partsOf } from '../../cache/evaluation';
import type { BranchCache, CachePolicy } from '../../cache/policy';
import { toBytes } from '../../media/pixels';
import { picturesOf } from '../../models/decode-latents';
import { release } from '../../nn/scope';
import type { Job } from '../../sampling/pipeline';
import { sampleLoop } from '../../sampling/sample-loop';
import type { Solver } from '../../schedulers/solver';
import type { Produce } from './golden-case';

/** What a MiniT2I run is made of, whoever evaluates the model. */
export type MiniT2IRun = Pick<Job, 'branches' | 'guide'> & { readonly solver: Solver; readonly latents: tf.Tensor };

/** Names that a group of cases gives the results of a run. */
export interface RunNames {
  /** Latents after every step. */
  readonly steps: string;
  /** The last of them. */
  readonly final: string;
}

/**
 * A run of MiniT2I by the product's own loop, every result handed over as the reference records it: its times rise, and
 * its velocities lead from noise to picture.
 */
export async function produceMiniT2IRun(run: MiniT2IRun, names: RunNames, produce: Produce): Promise<void> {
  const { timesteps, sigmas } = run.solver;
  const seen = { velocities: [] as tf.Tensor[], predictions: [] as tf.Tensor[], steps: [] as tf.Tensor[] };
  produce(
    'timesteps',
    sigmas.map(sigma => Math.fround(1 - sigma)),
  );
  const solver: Solver = {
    ...run.solver,
    step(index, output, sample, noise) {
      seen.velocities.push(tf.keep(tf.neg(output)));
      return run.solver.step(index, output, sample, noise);
    },
  };
  const see = (prediction: tf.Tensor): void => {
    seen.predictions.push(tf.keep(prediction.clone()));
  };
  try {
    const { latents } = await sampleLoop({ ...run, solver }, watchingSample(see), {
      onStep: (_, sample) => void seen.steps.push(tf.keep(sample.clone())),
    });
    produceStack('velocity', seen.velocities);
    produceStack(names.steps, seen.steps);
    // Rows of both calls of a step in a row, as if they were one.
    produceStack('x0_pred', seen.predictions, [timesteps.length, -1, ...latents.shape.slice(1)]);
    produce(names.final, latents);
    const decoded = await picturesOf(latents).finally(() => latents.dispose());
    produce(
      'image',
      decoded.flatMap(({ data }) => Array.from(data)),
    );
    produce(
      'image_u8',
      decoded.flatMap(picture => Array.from(toBytes(picture))),
    );
  } finally {
    release(seen);
  }

  function produceStack(name: string, tensors: readonly tf.Tensor[], shape?: number[]): void {
    if (tensors.length === 0) return;
    const all = tf.tidy(() => {
      const stacked = tf.stack([...tensors]);
      return shape ? tf.reshape(stacked, shape) : stacked;
    });
    produce(name, all);
    all.dispose();
  }
}

/** Computes every step, and shows the clean picture that each call predicts. */
function watchingSample(see: (sample: tf.Tensor) => void): CachePolicy {
  const evaluate: BranchCache['evaluate'] = async (_step, evaluation) => {
    const parts = partsOf(evaluation, 'Verification');
    const tokens = await parts.blocks(parts.embed());
    const output = parts.head(tokens, (name, compute) => {
      const made = compute();
      if (name === 'sample' && made instanceof tf.Tensor) see(made);
      return made;
    });
    release(tokens);
    return { output, decision: 'compute' };
  };
  return {
    name: 'watching',
    begin: () => ({ branch: () => ({ evaluate, bytes: () => 0, dispose() {} }), dispose() {} }),
  };
}
