import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import { type RunResult, runJob } from '../../sampling/run-job';
import type { Timing } from './comparison';
import { countFlops } from './flops';
import { type PairRuns, prepare } from './reference-runs';

/** Time and work of a method on single pairs. */
export interface Timed {
  readonly timing: Timing;
  readonly flops: number;
}

/**
 * Times a method on the first `count` pairs, one at a time, always beside an uncached run: what else the machine does
 * then slows both. A first run is only counted, for it also warms up.
 */
export async function timeCell(runs: PairRuns, policy: CachePolicy, count: number): Promise<Timed> {
  const timing: Timing = { uncached: [], cached: [] };
  let flops = 0;
  for (const [i, pair] of runs.evaluation.slice(0, count).entries()) {
    const job = await prepare(runs, [pair]);
    const run = (method: CachePolicy): Promise<RunResult> =>
      runJob(runs.pipeline, job, method, {
        ...(runs.signal && { signal: runs.signal }),
        onStep: step => runs.onPasses(step.forwards),
      });
    try {
      if (i === 0) ({ flops } = await countFlops(() => run(policy)));
      timing.uncached.push((await run(none())).seconds);
      timing.cached.push((await run(policy)).seconds);
    } finally {
      job.release();
    }
  }
  return { timing, flops };
}
