/**
 * FLUX.1 (Black Forest Labs, 2024; diffusers `FluxPipeline`): CLIP's pooled vector and T5's states, guidance that the
 * model is told, noise levels shifted by the picture's size; true guidance, from a second call, where it is asked for.
 */
import * as tf from '@tensorflow/tfjs-core';
import { UnsupportedError } from '../../errors';
import { parseConfig } from '../../io/parse-config';
import { dense, imageSize } from '../../media/pixels';
import { range } from '../../nn/positions';
import { release, tidy } from '../../nn/scope';
import type { TextRequest } from '../../sampling/embeddings';
import { denoiserBranch, separateGuidance, single, unguided, within } from '../../sampling/guidance';
import { firstStep } from '../../sampling/initial-picture';
import type {
  BatchRequest,
  GuidanceRequest,
  Job,
  PictureSize,
  Pipeline,
  PrepareOptions,
  ScheduleRequest,
  TextsRequest,
} from '../../sampling/pipeline';
import { checkRows, noiseSource, releasing, requestedSize } from '../../sampling/rows';
import { levelsOf, type Schedule } from '../../sampling/schedule';
import { refuseSecondGuidance, steeringOf } from '../../sampling/steering';
import { dynamicShift, type FlowMatchEulerConfig, linspace } from '../../schedulers/flow-match-euler';
import type { Denoiser } from '../../transformer/denoiser';
import { decodeLatents } from '../decode-latents';
import type { PipelineParts } from '../pipeline-parts';
import { klConfig } from '../vae/kl';
import { drawn } from '../vae/run';
import { type FluxCondition, fluxConfig } from './transformer';
import { FLUX_FRAMES, fluxUsualRun } from './usual';

/** A token stands for this many rows and columns of the latent. */
const PATCH = 2;
/** Tokens of T5: the guided model's, and those of the model that was distilled to few steps. */
const TEXT_TOKENS = { guided: 512, distilled: 256 };

/** `[B, C, h, w]` to tokens `[B, h/2 · w/2, 4C]`, the channels of a token in the order (C, row, column). */
export function packLatents(latents: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const [batch, channels, height, width] = latents.shape as [number, number, number, number];
    const [rows, columns] = [height / PATCH, width / PATCH];
    const strips = tf.reshape(latents, [batch * channels * rows, PATCH, columns, PATCH]);
    const patches = tf.reshape(tf.transpose(strips, [0, 2, 1, 3]), [batch, channels, rows * columns, PATCH * PATCH]);
    return tf.reshape(tf.transpose(patches, [0, 2, 1, 3]), [batch, rows * columns, channels * PATCH * PATCH]);
  });
}

/** The reverse, for a latent of `height` by `width`. */
export function unpackLatents(tokens: tf.Tensor, height: number, width: number): tf.Tensor {
  return tf.tidy(() => {
    const [batch, count, packed] = tokens.shape as [number, number, number];
    const channels = packed / (PATCH * PATCH);
    const [rows, columns] = [height / PATCH, width / PATCH];
    const patches = tf.transpose(tf.reshape(tokens, [batch, count, channels, PATCH * PATCH]), [0, 2, 1, 3]);
    const strips = tf.reshape(patches, [batch * channels * rows, columns, PATCH, PATCH]);
    return tf.reshape(tf.transpose(strips, [0, 2, 1, 3]), [batch, channels, height, width]);
  });
}

/**
 * The transformer on latents `[B, C, h, w]`. The reference packs once, before the loop; packing only moves numbers, so
 * the steps between are the same, and a latent here says its size.
 */
function onLatents(model: Denoiser, height: number, width: number): Denoiser {
  return {
    ...model,
    prepare: (cond, [batch, channels], tap) => {
      const tokens = (height * width) / (PATCH * PATCH);
      return model.prepare(cond, [batch as number, tokens, (channels as number) * PATCH * PATCH], tap);
    },
    embed: (x, timestep, context, tap) => tidy(() => model.embed(packLatents(x), timestep, context, tap)),
    head: (stream, tap) => tidy(() => unpackLatents(model.head(stream, tap), height, width)),
  };
}

/** Strength of true guidance; undefined where the model is only told its guidance, and called once a step. */
function trueGuidance({ negativePrompt, trueCfgScale = 1 }: GuidanceRequest): number | undefined {
  return negativePrompt !== undefined && trueCfgScale > 1 ? trueCfgScale : undefined;
}

/** @throws UnsupportedError for what only true guidance has a use for, where there is none */
function requireUse(request: GuidanceRequest): void {
  if (trueGuidance(request) !== undefined) return;
  const { negativePrompt, trueCfgScale, guidanceInterval } = request;
  const what =
    negativePrompt && trueCfgScale === undefined
      ? ['a negative prompt', 'negative prompt']
      : guidanceInterval && ['an interval of guidance', 'interval'];
  if (!what) return;
  throw new UnsupportedError(`FLUX is told its guidance and has no use for ${what[0]} without true guidance.`, {
    hint: `Ask for it with a negative prompt and --true-cfg-scale (trueCfgScale) above 1, or omit the ${what[1]}.`,
  });
}

/** FLUX from its parts, which the pipeline disposes. */
export function fluxPipeline(parts: PipelineParts): Pipeline {
  const { geometry, scheduler, watch } = parts;
  const config = parseConfig(fluxConfig, parts.config('transformer'), 'transformer/config.json');
  const { sample_size: side } = parseConfig(klConfig, parts.config('vae'), 'vae/config.json');
  const usual = { width: side, height: side, frames: 1 };

  const multiple = PATCH * geometry.compression.space;

  /** The size that is asked for, else that of the picture to begin with, else the model's. */
  function sizeOf(request: ScheduleRequest): PictureSize {
    requireUse(request);
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

  /** Noise levels are shifted by the picture's size. */
  function scheduleOf({ steps, init, shift }: ScheduleRequest, { height, width }: PictureSize): Schedule {
    const tokens = (height / multiple) * (width / multiple);
    const mu = dynamicShift(scheduler.config as FlowMatchEulerConfig, tokens);
    return scheduler.schedule(
      { steps, sigmas: linspace(1, 1 / steps, steps), mu, shift },
      init ? firstStep(steps, init.strength) : 0,
    );
  }

  /** The size that is drawn; refuses what cannot be drawn, before anything is loaded. */
  function checked(request: BatchRequest): PictureSize {
    checkRows(request);
    if (request.init) firstStep(request.steps, request.init.strength);
    const size = sizeOf(request);
    parts.requireMemory({
      size,
      tokens: (size.height / multiple) * (size.width / multiple) + textTokens(request),
      width: config.num_attention_heads * config.attention_head_dim,
      rows: request.prompts.length,
    });
    return size;
  }

  const textTokens = ({ maxSequenceLength }: TextsRequest): number =>
    maxSequenceLength ?? TEXT_TOKENS[config.guidance_embeds ? 'guided' : 'distilled'];

  /** What is steered away from, as the prompts of a request of its own; undefined without true guidance. */
  const negativesOf = (request: TextsRequest): TextsRequest | undefined => {
    const { prompts, negativePrompt = '', maxSequenceLength, guidance } = request;
    if (trueGuidance(request) === undefined) return undefined;
    return { prompts: prompts.map(() => negativePrompt), maxSequenceLength, guidance };
  };
  const textsOf = (request: TextsRequest): TextsRequest[] => [request, ...[negativesOf(request)].flatMap(n => n ?? [])];
  const forClip = ({ prompts }: TextsRequest): TextRequest => ({
    encoder: 'text_encoder',
    tokenizer: 'tokenizer',
    texts: prompts,
  });
  const forT5 = (request: TextsRequest): TextRequest => ({
    encoder: 'text_encoder_2',
    tokenizer: 'tokenizer_2',
    texts: request.prompts2 ?? request.prompts,
    length: textTokens(request),
  });

  const steered = (request: GuidanceRequest): Pick<Job, 'steering'> => {
    const trueCfgScale = trueGuidance(request);
    return steeringOf(request, { isGuided: trueCfgScale !== undefined, trueCfgScale });
  };

  /** How the encoded texts are kept, how watchers call them, and over how many tokens they are drawn. */
  interface Encoding {
    own<T>(tensors: T): T;
    readonly prefix: '' | 'negative_';
    readonly rows: number;
    readonly columns: number;
  }

  /** What the texts of one call are to the model. */
  async function conditionOf(
    texts: TextsRequest,
    { own, prefix, rows, columns }: Encoding,
    options?: PrepareOptions,
  ): Promise<FluxCondition> {
    const clip = own(await parts.encode(forClip(texts), options));
    const t5 = own(await parts.encode(forT5(texts), options));
    const condition: FluxCondition = {
      encoderHiddenStates: t5.states,
      pooledProjections: clip.pooled as tf.Tensor,
      guidance: texts.prompts.map(() => texts.guidance),
      imgIds: range(rows).flatMap(y => range(columns).map(x => [0, y, x])),
    };
    watch(`${prefix}clip_input_ids`, clip.ids.flat());
    watch(`${prefix}t5_input_ids`, t5.ids.flat());
    watch(`${prefix}prompt_embeds`, condition.encoderHiddenStates);
    watch(`${prefix}pooled_prompt_embeds`, condition.pooledProjections);
    if (prefix === '') watch('img_ids', condition.imgIds.flat());
    watch(
      `${prefix}txt_ids`,
      (t5.ids[0] ?? []).flatMap(() => [0, 0, 0]),
    );
    return condition;
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
    info: {
      ...parts.info,
      kind: 'image',
      defaults: fluxUsualRun(config),
    },
    textLoss: request => parts.textLoss(textsOf(request).flatMap(texts => [forClip(texts), forT5(texts)])),
    schedule: request => ({
      ...levelsOf(scheduleOf(request, sizeOf(request)), request.init !== undefined),
      ...steered(request),
    }),

    prepare: (request, options) =>
      releasing(async (own): Promise<Job> => {
        const size = checked(request);
        const [channels, , height, width] = geometry.latentShape(size);
        const [rows, columns] = [height / PATCH, width / PATCH];

        const conditions: FluxCondition[] = [];
        for (const [i, texts] of textsOf(request).entries()) {
          conditions.push(
            await conditionOf(texts, { own, prefix: i === 0 ? '' : 'negative_', rows, columns }, options),
          );
        }
        const schedule = scheduleOf(request, size);
        const shape = [channels, height, width];
        const start = own(await startOf(request, shape, size, schedule.sigmas[0] as number));
        const model = onLatents(await parts.transformer(), height, width);
        const { latents, contexts } = tidy(() => ({
          latents: start.clone(),
          contexts: conditions.map(condition => model.prepare(condition, [request.prompts.length, ...shape])),
        }));
        const scale = trueGuidance(request);
        return {
          branches: contexts.map((context, i) =>
            denoiserBranch({ name: i === 0 ? 'conditional' : 'unconditional', model, context, expand: single }),
          ),
          guide: scale === undefined ? unguided : within(separateGuidance(scale), request.guidanceInterval),
          latents,
          size,
          ...levelsOf(schedule, request.init !== undefined),
          ...steered(request),
          solver: schedule.solver,
          channelAxis: 1,
          release: () => release([contexts, latents]),
        };
      }),

    async encodePrompts(request, options) {
      checked(request);
      for (const texts of textsOf(request)) {
        release(await parts.encode(forClip(texts), options));
        release(await parts.encode(forT5(texts), options));
      }
    },
    embeddings: parts.embeddings,
    decode: (latents, _, options) => decodeLatents(parts, latents, options),
    dispose: () => parts.dispose(),
  };
}
