import { none } from '../../cache/none';
import type { Pair } from '../../policy/pair';
import type { Pipeline } from '../../sampling/pipeline';
import { runRequest } from '../../sampling/run-job';
import type { Passes } from './contender';

/** Steps that a forward pass is timed on; the first also compiles and allocates. */
const TRIAL_STEPS = 3;

/** Seconds that some forward passes take, from a short run of either kind. */
export async function estimateSeconds(
  pipeline: Pipeline,
  pairs: readonly Pair[],
  passes: Passes,
  run: { readonly batch: number; readonly guidance: number },
): Promise<number> {
  const secondsFor = async (rows: number): Promise<number> => {
    const group = pairs.slice(0, rows);
    const { steps } = await runRequest(
      pipeline,
      {
        prompts: group.map(p => p.prompt),
        seeds: group.map(p => p.seed),
        steps: TRIAL_STEPS,
        guidance: run.guidance,
      },
      none(),
    );
    return Math.min(...steps.map(s => s.seconds)) / group.length;
  };
  const batched = passes.batched > 0 ? passes.batched * (await secondsFor(run.batch)) : 0;
  return batched + (passes.single > 0 ? passes.single * (await secondsFor(1)) : 0);
}

/** `about 3 min`, `less than a minute` */
export function durationText(seconds: number): string {
  if (seconds < 60) return 'less than a minute';
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `about ${minutes} min`;
  return `about ${(minutes / 60).toFixed(1)} h`;
}
