import { measureBaselines } from '../../calibration/baselines';
import { prepareJobs } from '../../calibration/jobs';
import type { Policy } from '../../policy/data';
import type { Job, Pipeline } from '../../sampling/pipeline';
import type { Bench } from './bench';
import { cellName, policyName } from './names';
import type { Store } from './store';

export interface BenchOptions {
  /** Policies to use instead of calibrating, by the name of a cell. */
  readonly given?: ReadonlyMap<string, Policy> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPasses: (count: number) => void;
}

/** The bench of a comparison. What is measured or calibrated on it is kept in the store; `release` frees its jobs. */
export function openBench(
  pipeline: Pipeline,
  store: Store,
  { given, signal, onPasses }: BenchOptions,
): { readonly bench: Bench; release(): void } {
  const { comparison } = store;
  const { steps, guidance, batch, trials, calibration: pairs } = comparison.request;
  let jobs: Job[] | undefined;
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
      ...(signal && { signal }),
      onPasses,
      singles,
      async facts() {
        if (!comparison.facts) {
          const loop = { ...(signal && { signal }), onStep: () => onPasses(1) };
          const { fit, polynomial, ratios } = await measureBaselines(await singles(), loop);
          const forwards = pairs.length * steps;
          comparison.facts = { polynomial: [...polynomial], ratios: [...ratios], r2: fit.r2, forwards };
          await store.save();
        }
        return comparison.facts;
      },
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
    },
  };
}
