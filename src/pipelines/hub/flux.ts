/**
 * FLUX.1 (Black Forest Labs, 2024; diffusers `FluxPipeline`): CLIP's pooled vector and T5's states, guidance that the
 * model is told, noise levels shifted by the picture's size.
 */
import * as tf from '@tensorflow/tfjs-core';
import { UnsupportedError } from '../../errors';
import type { Denoiser } from '../../models/denoiser';
import { type FluxCondition, fluxConfig } from '../../models/flux';
import { parseConfig } from '../../models/registry';
import { klConfig } from '../../models/vae/kl';
import { range } from '../../nn/positions';
import { release, tidy } from '../../nn/scope';
import { dynamicShift, type FlowMatchEulerConfig, linspace } from '../../schedulers/flow-match-euler';
import { denoiserBranch, single, unguided } from '../guidance';
import type { Job, Pipeline } from '../pipeline';
import type { HubParts } from './parts';
import { decodeLatents } from './pixels';
import { checkRows, noiseSource, releasing, requestedSize } from './request';

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

/** FLUX from its parts, which the pipeline disposes. */
export function fluxPipeline(parts: HubParts): Pipeline {
  const { geometry, scheduler, watch } = parts;
  const config = parseConfig(fluxConfig, parts.config('transformer'), 'transformer/config.json');
  const { sample_size: side } = parseConfig(klConfig, parts.config('vae'), 'vae/config.json');
  const usual = { width: side, height: side, frames: 1 };

  return {
    info: {
      ...parts.info,
      kind: 'image',
      defaults: { steps: config.guidance_embeds ? 28 : 4, guidance: config.guidance_embeds ? 3.5 : 0 },
    },
    unknownWords: () => [],

    prepare: request =>
      releasing(async (own): Promise<Job> => {
        checkRows(request);
        if (request.negativePrompt) {
          throw new UnsupportedError('FLUX is told its guidance and has no use for a negative prompt.', {
            hint: 'Leave the negative prompt out.',
          });
        }
        const size = requestedSize(
          { ...request, size: { ...request.size, frames: 1 } },
          usual,
          PATCH * geometry.compression.space,
        );
        const [channels, , height, width] = geometry.latentShape(size);
        const [rows, columns] = [height / PATCH, width / PATCH];

        const clip = own(
          await parts.encode({ encoder: 'text_encoder', tokenizer: 'tokenizer', texts: request.prompts }),
        );
        const t5 = own(
          await parts.encode({
            encoder: 'text_encoder_2',
            tokenizer: 'tokenizer_2',
            texts: request.prompts2 ?? request.prompts,
            length: request.maxSequenceLength ?? TEXT_TOKENS[config.guidance_embeds ? 'guided' : 'distilled'],
          }),
        );
        const condition: FluxCondition = {
          encoderHiddenStates: t5.states,
          pooledProjections: clip.pooled as tf.Tensor,
          guidance: request.prompts.map(() => request.guidance),
          imgIds: range(rows).flatMap(y => range(columns).map(x => [0, y, x])),
        };
        watch('clip_input_ids', clip.ids.flat());
        watch('t5_input_ids', t5.ids.flat());
        watch('prompt_embeds', condition.encoderHiddenStates);
        watch('pooled_prompt_embeds', condition.pooledProjections);
        watch('img_ids', condition.imgIds.flat());
        watch(
          'txt_ids',
          (t5.ids[0] ?? []).flatMap(() => [0, 0, 0]),
        );

        const model = onLatents(await parts.transformer(), height, width);
        const schedule = scheduler.schedule({
          steps: request.steps,
          sigmas: linspace(1, 1 / request.steps, request.steps),
          mu: dynamicShift(scheduler.config as FlowMatchEulerConfig, rows * columns),
        });
        const { latents, context } = tidy(() => ({
          latents: noiseSource(request.seeds, [channels, height, width])(),
          context: model.prepare(condition, [request.prompts.length, channels, height, width]),
        }));
        return {
          branches: [denoiserBranch({ name: 'conditional', model, context, expand: single })],
          guide: unguided,
          latents,
          size,
          sigmas: schedule.sigmas,
          solver: schedule.solver,
          channelAxis: 1,
          release: () => release([context, latents]),
        };
      }),

    decode: latents => decodeLatents(parts, latents),
    dispose: () => parts.dispose(),
  };
}
