import type { Tensor } from '@tensorflow/tfjs-core';
import { measureBaselines } from '../../calibration/baselines';
import { type Target, uncachedTargets } from '../../calibration/choose-variant';
import { prepareJobs } from '../../calibration/jobs';
import type { Policy } from '../../policy/data';
import type { Job, Pipeline } from '../../sampling/pipeline';
import type { Bench, Choice } from './bench';
import { factsToKeep } from './facts';
import { cellName, policyName } from './names';
import type { Store } from './store';

export interface BenchOptions {
  /** Policies to use instead of calibrating, by the name of a cell. */
  readonly given?: ReadonlyMap<string, Policy> | undefined;
  /** What methods were set to before, by the name of a cell. */
  readonly choices?: ReadonlyMap<string, Choice> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPasses: (count: number) => void;
}

/** The bench of a comparison. What is measured or calibrated on it is kept in the store; `release` frees its jobs. */
export function openBench(
  pipeline: Pipeline,
  store: Store,
  { given, choices, signal, onPasses }: BenchOptions,
): { readonly bench: Bench; release(): void } {
  const { comparison } = store;
  const { steps, guidance, batch, trials, worstWeight, calibration: pairs } = comparison.request;
  let jobs: Job[] | undefined;
  let ends: readonly Target[] | undefined;
  const singles = async (): Promise<Job[]> => {
    jobs ??= await prepareJobs(pipeline, pairs, { steps, guidance, batch: 1 });
    return jobs;
  };
  return {
    bench: {
      pipeline,
      steps,
      guidance,
      pairs,
      batch,
      trials,
      worstWeight,
      ...(signal && { signal }),
      onPasses,
      singles,
      async facts() {
        if (!comparison.facts) {
          const loop = { ...(signal && { signal }), onStep: () => onPasses(1) };
          comparison.facts = factsToKeep(await measureBaselines(await singles(), loop), comparison.request);
          await store.save();
        }
        return comparison.facts;
      },
      async targets() {
        if (!ends) {
          const batches = await prepareJobs(pipeline, pairs, { steps, guidance, batch });
          const onStep = (_step: unknown, sample: Tensor): void => onPasses(sample.shape[0] as number);
          try {
            ends = await uncachedTargets(batches, { ...(signal && { signal }), onStep });
          } catch (error) {
            for (const job of batches) job.release();
            throw error;
          }
        }
        return ends;
      },
      choice: async (name, computed, make) => choices?.get(cellName(name, computed)) ?? make(),
      async policy(name, computed, make) {
        const own = given?.get(cellName(name, computed));
        if (own) return own;
        const path = policyName(name, computed);
        const calibrated = comparison.calibrated ?? [];
        const kept = calibrated.includes(path) ? await store.policy(path) : undefined;
        if (kept) return kept;
        const policy = await make();
        // Noted first, so that the file is known as the comparison's however the run ends.
        if (!calibrated.includes(path)) comparison.calibrated = [...calibrated, path];
        await store.save();
        return store.keepPolicy(path, policy);
      },
    },
    release() {
      for (const job of jobs ?? []) job.release();
      for (const { job, final } of ends ?? []) {
        job.release();
        final.dispose();
      }
    },
  };
}
