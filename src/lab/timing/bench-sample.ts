import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import { uniform } from '../../cache/uniform';
import { frameSize, frames, type Media } from '../../media/pixels';
import { median } from '../../metrics/statistics';
import { defaultPolicy } from '../../policy/on-disk';
import { usePolicy } from '../../policy/use';
import type { PictureSize, Pipeline } from '../../sampling/pipeline';
import { policyUse } from '../../sampling/policy-use';
import { runJob } from '../../sampling/run-job';
import type { StepRecord } from '../../sampling/sample-loop';
import { computedSteps } from './timing';

/** Time of drawing one picture or clip, from the prompt to its pixels, uncached and cached in turns. */
export interface SampleReport {
  readonly prompt: string;
  readonly size: PictureSize;
  readonly steps: number;
  readonly guidance: number;
  /** Forward passes of the cached run, and its schedule: `#` computed, `.` reused. */
  readonly forwards: number;
  readonly schedule: string;
  /** The shipped policy's name, or `uniform` where none fits. */
  readonly policy: string;
  readonly runs: number;
  /** Medians of whole samples, text and decoding included. */
  readonly seconds: { readonly uncached: number; readonly cached: number };
  /** Medians of the loops alone, which is what caching makes faster. */
  readonly loopSeconds: { readonly uncached: number; readonly cached: number };
  /** How many times as fast the loop is, and what free reuse would give: steps by forward passes. */
  readonly speedup: number;
  readonly ideal: number;
  /** Medians of single steps. */
  readonly stepSeconds: { readonly uncached: number; readonly computed: number; readonly reused: number };
}

export interface SampleBenchOptions {
  readonly runs: number;
  /** The model's own unless given. */
  readonly steps?: number | undefined;
  /** Part of the steps that a uniform schedule reuses, where no shipped policy fits. */
  readonly share: number;
  readonly onProgress?: ((what: string) => void) | undefined;
}

const PROMPT = 'a red fox in the snow';

/** Draws with a pipeline, which stays the caller's. One uncached picture before the first does not count. */
export async function benchSample(
  pipeline: Pipeline,
  { runs, steps = pipeline.info.defaults.steps, share, onProgress = () => {} }: SampleBenchOptions,
): Promise<SampleReport> {
  const { guidance } = pipeline.info.defaults;
  const prompt = pipeline.info.prompts[0] ?? PROMPT;
  const request = { prompts: [prompt], seeds: [0], steps, guidance };
  const { name, policy } = await policyFor(pipeline, request, share);

  const draw = async (using: () => CachePolicy) => {
    const started = performance.now();
    const job = await pipeline.prepare(request);
    try {
      const run = await runJob(pipeline, job, using());
      return { ...run, whole: (performance.now() - started) / 1000 };
    } finally {
      job.release();
    }
  };
  type Drawn = Awaited<ReturnType<typeof draw>>;
  const [uncached, cached]: [Drawn[], Drawn[]] = [[], []];
  onProgress('a first picture');
  await draw(none);
  for (let run = 1; run <= runs; run++) {
    onProgress(`uncached picture ${run} of ${runs}`);
    uncached.push(await draw(none));
    onProgress(`cached picture ${run} of ${runs}`);
    cached.push(await draw(policy));
  }

  const { forwards, schedule, media } = cached.at(-1) as Drawn;
  const [drawn] = media as [Media];
  const loopSeconds = { uncached: median(uncached.map(r => r.seconds)), cached: median(cached.map(r => r.seconds)) };
  const of = (drawn: readonly Drawn[], wanted: (step: StepRecord) => boolean): number =>
    median(drawn.flatMap(r => r.steps.filter(wanted).map(step => step.seconds)));
  return {
    prompt,
    size: { ...frameSize(drawn), frames: frames(drawn).length },
    steps,
    guidance,
    forwards,
    schedule,
    policy: name,
    runs,
    seconds: { uncached: median(uncached.map(r => r.whole)), cached: median(cached.map(r => r.whole)) },
    loopSeconds,
    speedup: loopSeconds.uncached / loopSeconds.cached,
    ideal: steps / forwards,
    stepSeconds: {
      uncached: of(uncached, () => true),
      computed: of(cached, step => step.decisions.every(d => d === 'compute')),
      reused: of(cached, step => step.decisions.every(d => d === 'reuse')),
    },
  };
}

async function policyFor(
  pipeline: Pipeline,
  request: { prompts: string[]; seeds: number[]; steps: number; guidance: number },
  share: number,
): Promise<{ name: string; policy: () => CachePolicy }> {
  const job = await pipeline.prepare(request);
  try {
    const use = policyUse(pipeline.info, request.guidance, job);
    const found = await defaultPolicy(use);
    if (found) return { name: found.data.name, policy: () => usePolicy(found, use) };
    const computed = computedSteps(request.steps, share);
    return { name: 'uniform', policy: () => uniform(request.steps, computed) };
  } finally {
    job.release();
  }
}
