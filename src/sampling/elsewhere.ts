import type { Tensor } from '@tensorflow/tfjs-core';
import type { ModelParts } from '../cache/evaluation';
import { UnsupportedError } from '../errors';
import type { Tokens } from '../transformer/denoiser';
import type { Branch } from './guidance';
import type { BatchRequest, FarRuns, Job, Pipeline } from './pipeline';

/** One call of a model: which branch of which request, at which latent and time. */
export interface FarCall {
  readonly request: BatchRequest;
  readonly branch: number;
  readonly timestep: number;
  /** The latent; borrowed. */
  readonly sample: Tensor;
  readonly signal?: AbortSignal | undefined;
}

/** A model on other machines, each of which prepares a request as this one would. */
export interface FarModel extends Pick<Pipeline, 'decode'> {
  /** The model's output; the caller's. */
  forward(call: FarCall): Promise<Tensor>;
  /** The tokens after all blocks; the caller's. */
  blocks(call: FarCall): Promise<Tokens>;
  /** Answers questions about whole runs of a request, where it can. */
  about?(request: BatchRequest, ...asked: Parameters<FarRuns['ask']>): ReturnType<FarRuns['ask']>;
}

/**
 * The same pipeline, whose model is run elsewhere: what is cheap, such as noise, guidance and a sampler's steps, is done
 * here, and forward passes and decoding are asked for. Of the parts of a model, embedding and head are run here, and all
 * blocks at once elsewhere.
 */
export function elsewhere(pipeline: Pipeline, far: FarModel): Pipeline {
  return {
    ...pipeline,
    isElsewhere: true,
    async prepare(request, options): Promise<Job> {
      const job = await pipeline.prepare(request, options);
      const branches = job.branches.map(
        (own, branch): Branch => ({
          ...own,
          evaluate(sample, timestep, signal) {
            // What the branch makes of the latent is made here too: caches look at it.
            const { sample: given, parts, release } = own.evaluate(sample, timestep, signal);
            const call: FarCall = { request, branch, timestep, sample, signal };
            let calls = 0;
            const counted = <T>(work: (asked: FarCall) => T): T => {
              calls++;
              return work(call);
            };
            return {
              sample: given,
              compute: () => counted(far.forward),
              ...(parts && { parts: farParts(parts, () => counted(far.blocks)) }),
              spent: () => calls,
              release,
            };
          },
        }),
      );
      const { about } = far;
      return {
        ...job,
        isElsewhere: true,
        branches,
        ...(about && { far: { ask: (...asked) => about(request, ...asked) } }),
      };
    },
    decode: far.decode,
  };
}

/** @param all runs all blocks on the embedded tokens */
function farParts(parts: ModelParts, all: () => Promise<Tokens>): ModelParts {
  return {
    ...parts,
    async blocks(stream, { from = 0, to = parts.blockCount, tap } = {}) {
      if (stream === parts.embed() && from === 0 && to === parts.blockCount && tap === undefined) return all();
      throw new UnsupportedError('This method runs some of the blocks, and workers of a queue run all of them.', {
        hint: 'Leave out --queue (and ERTACACHE_QUEUE).',
      });
    },
  };
}
