import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import type { Receipt } from '../../draw/receipt';
import { PolicyError, UsageError } from '../../errors';
import { packageVersion } from '../../io/package-root';
import { enlarged, frameSize, type Media } from '../../media/pixels';
import { writeMedia } from '../../media/write';
import { DEFAULT_MODEL } from '../../pipelines/load';
import type { BatchRequest, Job, Pipeline } from '../../sampling/pipeline';
import { policyUse } from '../../sampling/policy-use';
import { type RunResult, runJob } from '../../sampling/run-job';
import { type PictureOptions, pictureRequest } from '../picture-options';
import { progressLine, stepLine } from '../progress';
import { cacheOf, choosePolicy, policyOfReceipt, policyReceipt } from './choose-policy';
import { type Inputs, stretchNote } from './inputs';
import type { DrawnPair } from './pair-sheet';
import type { Task } from './tasks';

export interface DrawOptions extends PictureOptions {
  readonly model?: string;
  readonly policy: string;
  readonly steps?: number;
  readonly guidance?: number;
  readonly negative?: string;
  readonly scale: number;
  readonly sheet?: string;
  readonly from?: string;
}

/** What all pictures of a command share. */
export interface Drawing {
  readonly pipeline: Pipeline;
  readonly options: DrawOptions;
  readonly inputs: Inputs;
  readonly backend: string;
  readonly signal: AbortSignal;
  /** The receipt of the picture that is repeated. */
  readonly repeats?: Receipt;
}

/** The run of a task. */
export function requestOf({ pipeline, options, inputs }: Drawing, { prompt, seed }: Task): BatchRequest {
  const { defaults } = pipeline.info;
  return {
    prompts: [prompt],
    seeds: [seed],
    steps: options.steps ?? defaults.steps,
    guidance: options.guidance ?? defaults.guidance,
    ...(options.negative !== undefined && { negativePrompt: options.negative }),
    ...(inputs.init && { init: inputs.init }),
    ...pictureRequest(options),
  };
}

/**
 * Draws a picture, writes it, and says so.
 * @returns the picture beside its uncached form, where a sheet is wanted
 */
export async function drawPicture(drawing: Drawing, task: Task): Promise<DrawnPair | undefined> {
  const { pipeline, options, inputs, repeats } = drawing;
  const { info } = pipeline;
  const out = task.out ?? `${task.name}.${info.kind === 'clip' ? 'webp' : 'png'}`;
  if (repeats && repeats.model.hash !== info.hash) {
    throw new UsageError(`${options.from} was made with another version of the model "${repeats.model.id}".`, {
      hint: 'Give the model it was made with as --model.',
    });
  }
  warnOfUnknownWords(pipeline, task.prompt);
  const request = requestOf(drawing, task);
  const job = await pipeline.prepare(request);
  try {
    const use = policyUse(info, request.guidance, job);
    const chosen = repeats?.policy ? await policyOfReceipt(repeats.policy) : await choosePolicy(options.policy, use);
    const cache = cacheOf(chosen, use);
    if (options.sheet && !chosen) {
      throw new PolicyError('A sheet shows cached pictures above uncached ones, and no policy is in use.', {
        hint: 'Give a policy that fits as --policy; `ertacache calibrate` makes one.',
      });
    }
    const plain = options.sheet ? await run(drawing, task, job, none()) : undefined;
    const result = await run(drawing, task, job, cache);
    const media = result.media[0] as Media;
    const stretched = inputs.init && stretchNote(inputs.init, frameSize(media));
    if (stretched) process.stderr.write(stretched);
    const receipt: Receipt = {
      tool: 'ertacache',
      version: packageVersion(),
      model: { id: info.id, hash: info.hash, path: options.model ?? DEFAULT_MODEL },
      prompt: task.prompt,
      ...(options.negative !== undefined && { negativePrompt: options.negative }),
      seed: task.seed,
      steps: request.steps,
      guidance: request.guidance,
      ...pictureRequest(options),
      ...inputs.receipt,
      ...(options.vaeTiling && { vaeTiling: true }),
      ...(options.dtype === 'bfloat16' && { dtype: options.dtype }),
      scale: options.scale,
      backend: drawing.backend,
      policy: policyReceipt(chosen),
      schedule: result.schedule,
      forwards: result.forwards,
    };
    await writeMedia(out, enlarged(media, options.scale), {
      receipt,
      ...(info.fps !== undefined && { fps: info.fps }),
    });
    const { schedule, forwards, seconds } = result;
    console.log(`${out}  ${schedule}  ${forwards} of ${schedule.length} forwards, ${seconds.toFixed(2)} s`);
    if (!plain) return undefined;
    return {
      prompt: task.prompt,
      seed: task.seed,
      cached: media,
      cachedForwards: forwards,
      plain: plain.media[0] as Media,
      plainForwards: plain.forwards,
    };
  } finally {
    job.release();
  }
}

/** One run with its progress: the steps, then the decoder where that takes long. */
async function run({ pipeline, signal }: Drawing, { prompt }: Task, job: Job, cache: CachePolicy): Promise<RunResult> {
  const line = stepLine(prompt, job.sigmas.length - 1);
  let decoding: ReturnType<typeof progressLine> | undefined;
  try {
    return await runJob(pipeline, job, cache, {
      signal,
      onStep: step => line.step(step.decisions.includes('compute'), step.seconds),
      onDecode(done, total) {
        if (!decoding) line.stop();
        decoding ??= progressLine('decoding', total);
        decoding.update(done);
      },
    });
  } finally {
    line.stop();
    decoding?.stop();
  }
}

function warnOfUnknownWords(pipeline: Pipeline, prompt: string): void {
  const unknown = pipeline.unknownWords(prompt);
  if (unknown.length > 0) {
    process.stderr.write(`${pipeline.info.id} does not know ${unknown.map(w => `"${w}"`).join(', ')}: left out.\n`);
  }
}
