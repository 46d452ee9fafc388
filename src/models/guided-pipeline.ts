import * as tf from '@tensorflow/tfjs-core';
import { release, share, tidy } from '../nn/scope';
import type { EncodedTexts, TextRequest } from '../sampling/embeddings';
import { type FrameRule, onePicture } from '../sampling/frame-rule';
import {
  type Branch,
  denoiserBranch,
  type Guide,
  separateGuidance,
  single,
  unguided,
  within,
} from '../sampling/guidance';
import { refusePicture } from '../sampling/initial-picture';
import type {
  BatchRequest,
  GuidanceRequest,
  Job,
  PictureSize,
  Pipeline,
  PipelineInfo,
  PrepareOptions,
  RunLevels,
  ScheduleRequest,
  TextsRequest,
} from '../sampling/pipeline';
import { checkRows, noiseSource, releasing, requestedSize } from '../sampling/rows';
import { levelsOf, type Schedule } from '../sampling/schedule';
import { refuseSecondGuidance, refuseTrueGuidance, steeringOf } from '../sampling/steering';
import type { Solver } from '../schedulers/solver';
import { decodeLatents } from './decode-latents';
import { expertAt, expertBranch, expertGuidance, takeoverOf } from './experts';
import type { PipelineParts } from './pipeline-parts';
import type { Workload } from './workload';

/** What a family adds to {@link guidedPipeline}. */
export interface GuidedModel extends Pick<PipelineInfo, 'kind' | 'fps' | 'defaults'> {
  /** The size that is drawn where none is asked for. */
  readonly usual: PictureSize;
  /** What height and width are multiples of. */
  readonly multiple: number;
  /** Which numbers of frames can be drawn; one by default. */
  readonly frames?: FrameRule;
  /** Tokens that a text is cut or padded to where nothing else is asked for. */
  readonly textTokens: number;
  /** @throws UsageError for a size that the model cannot draw */
  workload(size: PictureSize, textTokens: number): Workload;
  /** What the text encoder is asked for. */
  text(texts: readonly string[], textTokens: number): TextRequest | Promise<TextRequest>;
  /** How strong the noise is that a run begins with; 1 by default. */
  readonly noiseScale?: number;
  /** Whether a run of this strength is guided; above 1 by default. */
  isGuided?(guidance: number): boolean;
  /** From and to which share of the way from noise to picture guidance acts unless asked; the whole by default. */
  readonly guidanceInterval?: readonly [from: number, to: number];
  /** What is steered away from where no text says it, for models that need no text encoder for it; new tensors. */
  unconditional?(textTokens: number): object;
  /** A run's solver, changed in what only the model can tell. */
  solver?(solver: Solver): Solver;
  /**
   * What `Denoiser.prepare` takes for encoded texts, whose tensors are handed over; so are those of the result.
   * @param prefix of the names that a watcher sees: what is steered away from is `negative_`
   */
  condition(encoded: EncodedTexts, prefix: '' | 'negative_'): object;
}

/** The calls of every step. */
interface Calls {
  readonly branches: readonly Branch[];
  /** What they are made of. */
  readonly kept: readonly unknown[];
}

/**
 * The usual pipeline from text to pictures or clips: classifier-free guidance from two calls, at any noise levels that
 * the sampler has, decoded by an autoencoder.
 * @param parts the pipeline disposes them
 */
export function guidedPipeline(parts: PipelineParts, model: GuidedModel): Pipeline {
  const { geometry, scheduler } = parts;
  const { kind, fps, defaults } = model;

  /** The shape of one row; pictures have no axis of frames. */
  function latentShape(size: PictureSize): number[] {
    const [channels, frames, ...plane] = geometry.latentShape(size);
    return kind === 'image' ? [channels, ...plane] : [channels, frames, ...plane];
  }

  function startNoise(seeds: BatchRequest['seeds'], shape: readonly number[]): tf.Tensor {
    const noise = noiseSource(seeds, shape)();
    return model.noiseScale === undefined ? noise : tf.mul(noise, model.noiseScale);
  }

  const tokensOf = ({ maxSequenceLength }: TextsRequest): number => maxSequenceLength ?? model.textTokens;

  function sizeOf(request: ScheduleRequest): PictureSize {
    refusePicture(request, parts.info.id, kind);
    refuseTrueGuidance(request, parts.info.id);
    if (!parts.experts) refuseSecondGuidance(request, parts.info.id);
    const size = requestedSize(request, model.usual, model.multiple, model.frames ?? onePicture(parts.info.id));
    geometry.latentShape(size);
    return model.workload(size, model.textTokens).size;
  }

  /** The size that is asked for; refuses what cannot be drawn, before anything is loaded. */
  function checked(request: BatchRequest): PictureSize {
    checkRows(request, parts.info.id);
    const { size, tokens, textTokens, width } = model.workload(sizeOf(request), tokensOf(request));
    parts.requireMemory({ size, tokens: tokens + textTokens, width, rows: request.prompts.length });
    return size;
  }

  const isGuided = ({ guidance }: GuidanceRequest): boolean => model.isGuided?.(guidance) ?? guidance > 1;

  const scheduleOf = ({ steps, shift }: ScheduleRequest): Schedule => scheduler.schedule({ steps, shift });

  const steered = (request: GuidanceRequest): Pick<Job, 'steering'> =>
    steeringOf(request, {
      isGuided: isGuided(request),
      guidance2: parts.experts && (request.guidance2 ?? request.guidance),
      usualInterval: model.guidanceInterval,
    });

  const at = parts.experts && expertAt(parts.experts, Number(scheduler.config.num_train_timesteps));

  function levels(request: ScheduleRequest, schedule: Schedule): RunLevels {
    const takeover = at && takeoverOf(schedule.timesteps, at);
    return { ...levelsOf(schedule), ...steered(request), ...(takeover !== undefined && { takeover }) };
  }

  function guideOf(request: BatchRequest): Guide {
    if (!isGuided(request)) return unguided;
    const { guidance, guidance2 = guidance } = request;
    const guide = at ? expertGuidance([guidance, guidance2], at) : separateGuidance(guidance);
    return within(guide, request.guidanceInterval ?? model.guidanceInterval);
  }

  /** The prompts and, where they guide, those steered away from. */
  async function textsOf(request: TextsRequest): Promise<TextRequest[]> {
    const { prompts, negativePrompt = '' } = request;
    const steersByText = isGuided(request) && !(model.unconditional && negativePrompt === '');
    const texts = steersByText ? [prompts, prompts.map(() => negativePrompt)] : [prompts];
    return Promise.all(texts.map(each => model.text(each, tokensOf(request))));
  }

  /** What the prompts are to the model and, where they guide, what is steered away from. */
  async function conditionsOf(request: BatchRequest, options?: PrepareOptions): Promise<object[]> {
    const conditions: object[] = [];
    try {
      for (const [i, text] of (await textsOf(request)).entries()) {
        const encoded = await parts.encode(text, options);
        conditions.push(model.condition(encoded, i === 0 ? '' : 'negative_'));
      }
      if (isGuided(request) && conditions.length === 1) {
        conditions.push((model.unconditional as (tokens: number) => object)(tokensOf(request)));
      }
      return conditions;
    } catch (error) {
      release(conditions);
      throw error;
    }
  }

  /** The calls of every step, and what they are made of, which is the caller's to release when the run is over. */
  async function callsOf(conditions: readonly object[], shape: readonly number[]): Promise<Calls> {
    const nameOf = (i: number): string => (i === 0 ? 'conditional' : 'unconditional');
    const { experts } = parts;
    if (experts && at) {
      // Each expert makes of the conditions what it needs when it is loaded.
      const kept: unknown[] = conditions.map(condition => share(condition));
      const branches = conditions.map((_, i) =>
        expertBranch({
          ...{ name: nameOf(i), experts, at, shape, condition: kept[i] as object },
          keep: context => kept.push(context),
        }),
      );
      return { branches, kept };
    }
    const denoiser = await parts.transformer();
    const kept = tidy(() => conditions.map(condition => denoiser.prepare(condition, shape)));
    const branches = kept.map((context, i) =>
      denoiserBranch({ name: nameOf(i), model: denoiser, context, expand: single }),
    );
    return { branches, kept };
  }

  return {
    info: { ...parts.info, kind, ...(fps !== undefined && { fps }), defaults },
    textLoss: async request => parts.textLoss(await textsOf(request)),
    schedule(request) {
      sizeOf(request);
      return levels(request, scheduleOf(request));
    },

    prepare: (request, options) =>
      releasing(async (own): Promise<Job> => {
        const size = checked(request);
        const shape = latentShape(size);
        const conditions = own(await conditionsOf(request, options));
        const schedule = scheduleOf(request);
        const calls = await callsOf(conditions, [request.prompts.length, ...shape]);
        const start = tidy(() => startNoise(request.seeds, shape));
        return {
          branches: calls.branches,
          guide: guideOf(request),
          latents: start,
          size,
          ...levels(request, schedule),
          solver: sigmas => model.solver?.(schedule.solver(sigmas)) ?? schedule.solver(sigmas),
          channelAxis: 1,
          release: () => release([calls.kept, start]),
        };
      }),

    async encodePrompts(request, options) {
      checked(request);
      release(await conditionsOf(request, options));
    },
    embeddings: parts.embeddings,
    decode: (latents, _, options) => decodeLatents(parts, latents, options),
    dispose: () => parts.dispose(),
  };
}
