import * as tf from '@tensorflow/tfjs-core';
import { parseConfig } from '../../io/parse-config';
import { dense, imageSize } from '../../media/pixels';
import { range } from '../../nn/positions';
import { release, tidy } from '../../nn/scope';
import type { EncodedTexts, TextRequest } from '../../sampling/embeddings';
import { denoiserBranch, separateGuidance, single, unguided, within } from '../../sampling/guidance';
import { firstStep } from '../../sampling/initial-picture';
import type {
  BatchRequest,
  GuidanceRequest,
  Job,
  PictureSize,
  Pipeline,
  PipelineInfo,
  PrepareOptions,
  ScheduleRequest,
  TextsRequest,
} from '../../sampling/pipeline';
import { checkRows, noiseSource, type RareField, releasing, requestedSize } from '../../sampling/rows';
import { levelsOf, type Schedule } from '../../sampling/schedule';
import { refuseSecondGuidance } from '../../sampling/steering';
import { dynamicShift, type FlowMatchEulerConfig, linspace } from '../../schedulers/flow-match-euler';
import { decodeLatents } from '../decode-latents';
import type { PipelineParts } from '../pipeline-parts';
import { klConfig } from '../vae/kl';
import { drawn } from '../vae/run';
import { onLatents, PATCH } from './latents';
import { FLUX_FRAMES } from './usual';

/** How watchers call what belongs to the prompts, and to what is steered away from. */
export type Prefix = '' | 'negative_';

/** What a member of the family adds to {@link latentPipeline}: its texts and its guidance. */
export interface LatentModel extends Pick<PipelineInfo, 'defaults'> {
  /** Channels of a token. */
  readonly width: number;
  /** Tokens that a text is cut or padded to where nothing else is asked for. */
  readonly textTokens: number;
  /** What it reads that few models do. */
  readonly uses?: readonly RareField[];
  /** @throws UnsupportedError for guidance that the model has no use for */
  check(request: GuidanceRequest): void;
  /** How strongly a second call steers away from the negative prompt; undefined where there is one call a step. */
  guidanceOf(request: GuidanceRequest): number | undefined;
  /** What policies have to be told of the guidance. */
  steered(request: GuidanceRequest): Pick<Job, 'steering'>;
  /** What the text encoders are asked for. */
  texts(request: TextsRequest, length: number): readonly TextRequest[];
  /**
   * What `Denoiser.prepare` takes for encoded texts.
   * @param encoded one for each of `texts`; its tensors stay the caller's, as those of the result are
   * @param imgIds position of every image token
   */
  condition(
    encoded: readonly EncodedTexts[],
    request: TextsRequest,
    imgIds: readonly (readonly number[])[],
    prefix: Prefix,
  ): object;
}

/**
 * From prompts, or a picture and prompts, to pictures: latents whose two by two pixels are a token, noise levels
 * that may be shifted by the picture's size, and guidance from a second call where the model has it.
 * @param parts the pipeline disposes them
 */
export function latentPipeline(parts: PipelineParts, model: LatentModel): Pipeline {
  const { geometry, scheduler, watch } = parts;
  const { sample_size: side } = parseConfig(klConfig, parts.config('vae'), 'vae/config.json');
  const usual = { width: side, height: side, frames: 1 };

  const multiple = PATCH * geometry.compression.space;

  /** The size that is asked for, else that of the picture to begin with, else the model's. */
  function sizeOf(request: ScheduleRequest): PictureSize {
    model.check(request);
    refuseSecondGuidance(request, parts.info.id);
    const whole = (length: number): number => Math.max(1, Math.floor(length / multiple)) * multiple;
    const own = request.init && imageSize(request.init.image);
    return requestedSize(
      request,
      own ? { width: whole(own.width), height: whole(own.height), frames: 1 } : usual,
      multiple,
      FLUX_FRAMES,
    );
  }

  /** Noise levels, shifted by the picture's size where the sampler is configured so. */
  function scheduleOf({ steps, init, shift }: ScheduleRequest, { height, width }: PictureSize): Schedule {
    const tokens = (height / multiple) * (width / multiple);
    const mu = dynamicShift(scheduler.config as FlowMatchEulerConfig, tokens);
    return scheduler.schedule(
      { steps, sigmas: linspace(1, 1 / steps, steps), mu, shift },
      init ? firstStep(steps, init.strength) : 0,
    );
  }

  const tokensOf = ({ maxSequenceLength }: TextsRequest): number => maxSequenceLength ?? model.textTokens;

  /** The size that is drawn; refuses what cannot be drawn, before anything is loaded. */
  function checked(request: BatchRequest): PictureSize {
    checkRows(request, parts.info.id, model.uses);
    if (request.init) firstStep(request.steps, request.init.strength);
    const size = sizeOf(request);
    parts.requireMemory({
      size,
      tokens: (size.height / multiple) * (size.width / multiple) + tokensOf(request),
      width: model.width,
      rows: request.prompts.length,
    });
    return size;
  }

  /** The prompts and, where they guide, those steered away from, as requests of their own. */
  function callsOf(request: TextsRequest): TextsRequest[] {
    const { prompts, negativePrompt = '', maxSequenceLength, guidance } = request;
    if (model.guidanceOf(request) === undefined) return [request];
    return [request, { prompts: prompts.map(() => negativePrompt), maxSequenceLength, guidance }];
  }
  const textsOf = (call: TextsRequest): readonly TextRequest[] => model.texts(call, tokensOf(call));

  /** The texts of one call as every encoder gives them; `own` keeps each as soon as it is there. */
  async function encoded(call: TextsRequest, own: <T>(tensors: T) => T, options?: PrepareOptions) {
    const all: EncodedTexts[] = [];
    for (const text of textsOf(call)) all.push(own(await parts.encode(text, options)));
    return all;
  }

  /**
   * The latents that a run begins with: noise alone, or a picture's latents with as much noise as the first step
   * expects. A seed's first numbers then draw from the autoencoder's posterior, and the next ones are the noise.
   * @param shape of one row
   */
  async function startOf(request: BatchRequest, shape: number[], size: PictureSize, sigma: number): Promise<tf.Tensor> {
    const draw = noiseSource(request.seeds, shape);
    if (!request.init) return draw();
    const picture = await parts.resize(request.init.image, size.height, size.width);
    const pixels = tf.tidy(() => {
      const rows = tf.tensor4d(dense(picture), [1, size.height, size.width, 3]);
      return tf.sub(tf.mul(tf.transpose(rows, [0, 3, 1, 2]), 2), 1);
    });
    const posterior = await parts.encodePixels(pixels).finally(() => pixels.dispose());
    try {
      return tidy(() => {
        const clean = geometry.normalise(drawn(posterior, draw()));
        return tf.add(tf.mul(draw(), sigma), tf.mul(clean, 1 - sigma));
      });
    } finally {
      release(posterior);
    }
  }

  return {
    info: { ...parts.info, kind: 'image', defaults: model.defaults },
    textLoss: request => parts.textLoss(callsOf(request).flatMap(textsOf)),
    schedule: request => ({
      ...levelsOf(scheduleOf(request, sizeOf(request)), request.init !== undefined),
      ...model.steered(request),
    }),

    prepare: (request, options) =>
      releasing(async (own): Promise<Job> => {
        const size = checked(request);
        const [channels, , height, width] = geometry.latentShape(size);
        const imgIds = range(height / PATCH).flatMap(y => range(width / PATCH).map(x => [0, y, x]));
        watch('img_ids', imgIds.flat());

        const conditions: object[] = [];
        for (const [i, call] of callsOf(request).entries()) {
          const texts = await encoded(call, own, options);
          conditions.push(own(model.condition(texts, call, imgIds, i === 0 ? '' : 'negative_')));
        }
        const schedule = scheduleOf(request, size);
        const shape = [channels, height, width];
        const start = own(await startOf(request, shape, size, schedule.sigmas[0] as number));
        const denoiser = onLatents(await parts.transformer(), height, width);
        const { latents, contexts } = tidy(() => ({
          latents: start.clone(),
          contexts: conditions.map(condition => denoiser.prepare(condition, [request.prompts.length, ...shape])),
        }));
        const scale = model.guidanceOf(request);
        return {
          branches: contexts.map((context, i) =>
            denoiserBranch({
              ...{ name: i === 0 ? 'conditional' : 'unconditional', model: denoiser, context },
              expand: single,
            }),
          ),
          guide: scale === undefined ? unguided : within(separateGuidance(scale), request.guidanceInterval),
          latents,
          size,
          ...levelsOf(schedule, request.init !== undefined),
          ...model.steered(request),
          solver: schedule.solver,
          channelAxis: 1,
          release: () => release([contexts, latents]),
        };
      }),

    async encodePrompts(request, options) {
      checked(request);
      await releasing(async own => {
        for (const call of callsOf(request)) await encoded(call, own, options);
      });
    },
    embeddings: parts.embeddings,
    decode: (latents, _, options) => decodeLatents(parts, latents, options),
    dispose: () => parts.dispose(),
  };
}
