import type { Tensor } from '@tensorflow/tfjs-core';
import type { Branch } from './guidance';
import type { BatchRequest, Job, Pipeline } from './pipeline';

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
}

/**
 * The same pipeline, whose model is run elsewhere: what is cheap, such as noise, guidance and a sampler's steps, is done
 * here, and forward passes and decoding are asked for. Methods that work inside the model find a single function.
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
            const { sample: given, release } = own.evaluate(sample, timestep, signal);
            let calls = 0;
            return {
              sample: given,
              compute() {
                calls++;
                return far.forward({ request, branch, timestep, sample, signal });
              },
              spent: () => calls,
              release,
            };
          },
        }),
      );
      return { ...job, isElsewhere: true, branches };
    },
    decode: far.decode,
  };
}
