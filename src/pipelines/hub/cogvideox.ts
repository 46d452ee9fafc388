/**
 * CogVideoX (Zhipu AI, 2024; diffusers `CogVideoXPipeline`): T5's states without a mask, classifier-free guidance from
 * one call on [negative, positive], samplers of discrete times.
 */
import * as tf from '@tensorflow/tfjs-core';
import { cogVideoXConfig } from '../../models/cogvideox';
import { parseConfig } from '../../models/registry';
import { release, tidy } from '../../nn/scope';
import type { Solver } from '../../schedulers/solver';
import { denoiserBranch, doubled, type Guide, guided, single, unguided } from '../guidance';
import type { Job, Pipeline } from '../pipeline';
import type { HubParts } from './parts';
import { decodeLatents } from './pixels';
import { checkRows, noiseSource, releasing, requestedSize } from './request';

const FPS = 8;
const GUIDANCE_POWER = 5;

/** Guidance from one call on a doubled batch, negative rows first, with a strength for every step. */
function negativeFirst(scales: readonly number[]): Guide {
  return {
    parts: ['conditional', 'unconditional'],
    split: ([both]) => tf.split(both as tf.Tensor, 2).reverse(),
    combine: ([conditional, unconditional], step) =>
      guided(conditional as tf.Tensor, unconditional as tf.Tensor, scales[step] as number),
  };
}

/**
 * Guidance that follows a cosine of the time left. The published formula takes times up to 1000 for steps, so the
 * angle is huge: double precision, as in the reference, keeps the same digits.
 */
export function dynamicScales(guidance: number, timesteps: readonly number[]): number[] {
  const steps = timesteps.length;
  return timesteps.map(t => 1 + (guidance * (1 - Math.cos(Math.PI * ((steps - t) / steps) ** GUIDANCE_POWER))) / 2);
}

/** A solver that draws its own noise unless it is given some. */
function withNoise(solver: Solver, draw: () => tf.Tensor): Solver {
  return { ...solver, step: (index, output, sample, noise = draw) => solver.step(index, output, sample, noise) };
}

/** CogVideoX from its parts, which the pipeline disposes. */
export function cogVideoXPipeline(parts: HubParts): Pipeline {
  const { geometry, scheduler, watch } = parts;
  const { space, time } = geometry.compression;
  const config = parseConfig(cogVideoXConfig, parts.config('transformer'), 'transformer/config.json');
  const usual = {
    width: config.sample_width * space,
    height: config.sample_height * space,
    frames: config.sample_frames,
  };

  return {
    info: { ...parts.info, kind: 'clip', fps: FPS, defaults: { steps: 50, guidance: 6 } },
    unknownWords: () => [],

    prepare: request =>
      releasing(async (own): Promise<Job> => {
        checkRows(request);
        const size = requestedSize(request, usual, space * config.patch_size);
        const latentFrames = Math.floor((size.frames - 1) / time) + 1;
        const shape = [latentFrames, geometry.latentChannels, size.height / space, size.width / space];
        const rows = request.prompts.length;
        const guide = request.guidance > 1;

        const encode = async (texts: readonly string[], name: string): Promise<tf.Tensor> => {
          const { ids, states } = own(
            await parts.encode({
              encoder: 'text_encoder',
              tokenizer: 'tokenizer',
              texts,
              length: request.maxSequenceLength ?? config.max_text_seq_length,
            }),
          );
          watch(`${name}input_ids`, ids.flat());
          watch(`${name}prompt_embeds`, states);
          return states;
        };
        const texts = [await encode(request.prompts, '')];
        if (guide) {
          const negative = request.prompts.map(() => request.negativePrompt ?? '');
          texts.unshift(await encode(negative, 'negative_'));
        }

        const model = await parts.transformer();
        const schedule = scheduler.schedule({ steps: request.steps });
        const { guidance, dynamicGuidance = false } = request;
        const scales = dynamicGuidance
          ? dynamicScales(guidance, schedule.timesteps)
          : schedule.timesteps.map(() => guidance);
        const { latents, context } = tidy(() => ({
          latents: noiseSource(request.seeds, shape)(),
          context: model.prepare({ encoderHiddenStates: tf.concat(texts) }, [texts.length * rows, ...shape]),
        }));
        return {
          branches: [
            denoiserBranch({
              name: guide ? 'guided' : 'conditional',
              model,
              context,
              expand: guide ? doubled : single,
            }),
          ],
          guide: guide ? negativeFirst(scales) : unguided,
          latents,
          size: { ...size, frames: geometry.clipFrames(latentFrames) },
          sigmas: schedule.sigmas,
          solver(sigmas) {
            const draw = noiseSource(request.seeds, shape);
            // The first draw of a seed was the start; the sampler's own noise comes after it.
            draw().dispose();
            return withNoise(schedule.solver(sigmas), draw);
          },
          channelAxis: 2,
          release: () => release([context, latents]),
        };
      }),

    async decode(latents) {
      const channelsFirst = tf.transpose(latents, [0, 2, 1, 3, 4]);
      return decodeLatents(parts, channelsFirst).finally(() => channelsFirst.dispose());
    },
    dispose: () => parts.dispose(),
  };
}
