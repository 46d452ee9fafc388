import { none } from '../cache/none';
import type { CachePolicy } from '../cache/policy';
import type { Media } from '../media/pixels';
import type { Policy } from '../policy/data';
import { defaultPolicy } from '../policy/find';
import { usePolicy } from '../policy/use';
import type { BatchRequest, InitialPicture, Job, PictureSize, Pipeline } from '../sampling/pipeline';
import { policyUse } from '../sampling/policy-use';
import { type RunResult, runJob } from '../sampling/run-job';
import type { LoopOptions } from '../sampling/sample-loop';

/** How `sample` draws. */
export interface SampleOptions extends LoopOptions {
  readonly seed?: number;
  /** The model's own unless given. */
  readonly steps?: number;
  /** The model's own unless given. */
  readonly guidance?: number;
  readonly negativePrompt?: string;
  /** The model's own unless given; with `init`, that of the picture. */
  readonly size?: Partial<PictureSize>;
  /** A picture to begin with, in models of pictures. */
  readonly init?: InitialPicture;
  /**
   * How to reuse work: a calibrated policy, any caching method, `none`, or `auto` for the shipped policy that fits
   * (every step is computed where none does). `auto` unless given.
   */
  readonly policy?: Policy | CachePolicy | 'auto' | 'none';
}

/** What `sample` drew. */
export interface SampleResult extends Omit<RunResult, 'media'> {
  /** The picture, or the clip. */
  readonly media: Media;
}

/**
 * Draws one picture or clip from a prompt.
 * @example
 * const model = await loadModel('fluent-emoji');
 * const { media, schedule } = await sample(model, 'red heart', { seed: 1 });
 */
export async function sample(pipeline: Pipeline, prompt: string, options: SampleOptions = {}): Promise<SampleResult> {
  const { defaults } = pipeline.info;
  const request: BatchRequest = {
    prompts: [prompt],
    seeds: [options.seed ?? 0],
    steps: options.steps ?? defaults.steps,
    guidance: options.guidance ?? defaults.guidance,
    ...(options.negativePrompt !== undefined && { negativePrompt: options.negativePrompt }),
    ...(options.size && { size: options.size }),
    ...(options.init && { init: options.init }),
  };
  const job = await pipeline.prepare(request);
  try {
    const policy = await choosePolicy(options.policy ?? 'auto', pipeline, request, job);
    const { media, ...rest } = await runJob(pipeline, job, policy, options);
    return { media: media[0] as Media, ...rest };
  } finally {
    job.release();
  }
}

async function choosePolicy(
  choice: NonNullable<SampleOptions['policy']>,
  { info }: Pipeline,
  { guidance }: BatchRequest,
  job: Job,
): Promise<CachePolicy> {
  if (choice === 'none') return none();
  const use = policyUse(info, guidance, job);
  const policy = choice === 'auto' ? await defaultPolicy(use) : choice;
  return policy ? usePolicy(policy, use) : none();
}
