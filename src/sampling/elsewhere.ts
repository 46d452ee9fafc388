import type { Tensor } from '@tensorflow/tfjs-core';
import type { ModelParts } from '../cache/evaluation';
import { UnsupportedError } from '../errors';
import type { Tokens } from '../transformer/denoiser';
import type { Branch } from './guidance';
import type { BatchRequest, FarRuns, Job, Pipeline } from './pipeline';

/** A call of a model: of which request, at which latent and time. */
interface FarPoint {
  readonly request: BatchRequest;
  readonly timestep: number;
  /** The latent; borrowed. */
  readonly sample: Tensor;
  readonly signal?: AbortSignal | undefined;
}

/** One call of one branch. */
export interface FarCall extends FarPoint {
  readonly branch: number;
}

/** A call of several branches. */
export interface FarCalls extends FarPoint {
  readonly branches: readonly number[];
}

/** A model on other machines, each of which prepares a request as this one would. */
export interface FarModel extends Pick<Pipeline, 'decode'> {
  /** The model's output of each branch, in their order; the caller's. */
  forward(calls: FarCalls): Promise<readonly Tensor[]>;
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
      const outputs = sharedOutputs(job.branches.length, far.forward);
      const branches = job.branches.map(
        (own, branch): Branch => ({
          ...own,
          evaluate(sample, timestep, signal) {
            // What the branch makes of the latent is made here too: caches look at it.
            const { sample: given, parts, release } = own.evaluate(sample, timestep, signal);
            const call: FarCall = { request, branch, timestep, sample, signal };
            let calls = 0;
            const counted = <T>(work: (asked: FarCall) => Promise<T>): Promise<T> => {
              calls++;
              return work(call);
            };
            return {
              sample: given,
              compute: () => counted(outputs.of),
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
        release() {
          outputs.release();
          job.release();
        },
        ...(about && { far: { ask: (...asked) => about(request, ...asked) } }),
      };
    },
    decode: far.decode,
  };
}

/**
 * Outputs of a job's branches. Whoever computes the first one at a latent computes the others there too, with few
 * exceptions: they are asked for together.
 */
function sharedOutputs(count: number, forward: FarModel['forward']) {
  interface Asked {
    readonly timestep: number;
    readonly outputs: Promise<readonly Tensor[]>;
    /** Branches whose outputs nobody has taken. */
    readonly left: Set<number>;
  }
  const open = new Map<Tensor, Asked>();
  function drop(sample: Tensor, { outputs, left }: Asked): void {
    open.delete(sample);
    const unwanted = [...left];
    outputs.then(
      all => {
        for (const branch of unwanted) all[branch]?.dispose();
      },
      () => {},
    );
  }
  function ask({ branch: _, ...point }: FarCall): Asked {
    const branches = Array.from({ length: count }, (__, i) => i);
    const asked = { timestep: point.timestep, outputs: forward({ ...point, branches }), left: new Set(branches) };
    for (const [sample, old] of open) if (sample.isDisposed || sample === point.sample) drop(sample, old);
    open.set(point.sample, asked);
    return asked;
  }
  return {
    async of(call: FarCall): Promise<Tensor> {
      const { branch, ...point } = call;
      const known = open.get(point.sample);
      const isKnown = known?.timestep === point.timestep && known.left.has(branch);
      if (!isKnown && branch > 0) return (await forward({ ...point, branches: [branch] }))[0] as Tensor;
      const asked = isKnown ? known : ask(call);
      asked.left.delete(branch);
      try {
        return (await asked.outputs)[branch] as Tensor;
      } finally {
        if (asked.left.size === 0 && open.get(point.sample) === asked) open.delete(point.sample);
      }
    },
    release(): void {
      for (const [sample, asked] of open) drop(sample, asked);
    },
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
