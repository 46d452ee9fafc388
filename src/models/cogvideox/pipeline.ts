/**
 * CogVideoX (Zhipu AI, 2024; diffusers `CogVideoXPipeline`): T5's states without a mask, classifier-free guidance from
 * one call on [negative, positive], samplers of discrete times.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { parseConfig } from '../../io/parse-config';
import { release, tidy } from '../../nn/scope';
import { anyState, isResumable, parseState, type State } from '../../nn/state';
import type { TextRequest } from '../../sampling/embeddings';
import {
  denoiserBranch,
  doubled,
  type Guide,
  type GuidedStep,
  guided,
  single,
  unguided,
  within,
} from '../../sampling/guidance';
import { refusePicture } from '../../sampling/initial-picture';
import type {
  BatchRequest,
  GuidanceRequest,
  Job,
  PictureSize,
  Pipeline,
  ScheduleRequest,
  TextsRequest,
} from '../../sampling/pipeline';
import {
  checkRows,
  type NoiseSource,
  noiseSource,
  releasing,
  requestedSize,
  requireTextTokens,
} from '../../sampling/rows';
import { levelsOf, requireFixedShift, type Schedule } from '../../sampling/schedule';
import { refuseSecondGuidance, refuseTrueGuidance, steeringOf } from '../../sampling/steering';
import type { Solver } from '../../schedulers/solver';
import { decodeLatents } from '../decode-latents';
import type { PipelineParts } from '../pipeline-parts';
import { cogVideoXConfig } from './transformer';
import { COGVIDEOX_RUN, cogVideoXFrames, cogVideoXLatentFrames, cogVideoXSize } from './usual';

const FPS = 8;
const GUIDANCE_POWER = 5;

/** Guidance from one call on a doubled batch, negative rows first, with a strength for every step. */
function negativeFirst(scales: readonly number[]): Guide {
  return {
    parts: ['conditional', 'unconditional'],
    split: ([both]) => tf.split(both as tf.Tensor, 2).reverse(),
    combine: ([conditional, unconditional], step) =>
      guided(conditional as tf.Tensor, unconditional as tf.Tensor, scales[step.index] as number),
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
function withNoise(solver: Solver, draw: NoiseSource): Solver {
  return {
    ...solver,
    step: (index, output, sample, noise = draw) => solver.step(index, output, sample, noise),
    ...(isResumable(solver) && {
      state: () => ({ solver: solver.state(), noise: draw.state() }),
      restore(given: State) {
        const kept = parseState(z.object({ solver: anyState, noise: anyState }), given);
        solver.restore(kept.solver);
        draw.restore(kept.noise);
      },
    }),
  };
}

/** CogVideoX from its parts, which the pipeline disposes. */
export function cogVideoXPipeline(parts: PipelineParts): Pipeline {
  const { geometry, scheduler, watch } = parts;
  requireFixedShift(scheduler);
  const { space, time } = geometry.compression;
  const config = parseConfig(cogVideoXConfig, parts.config('transformer'), 'transformer/config.json');
  const usual = cogVideoXSize(config, space);

  const multiple = space * config.patch_size;

  function sizeOf(request: ScheduleRequest): PictureSize {
    refusePicture(request, parts.info.id);
    refuseTrueGuidance(request, parts.info.id);
    refuseSecondGuidance(request, parts.info.id);
    return requestedSize(request, usual, multiple, cogVideoXFrames(time));
  }

  const scheduleOf = ({ steps, shift }: ScheduleRequest): Schedule => scheduler.schedule({ steps, shift });

  /** The size that is asked for; refuses what cannot be drawn, before anything is loaded. */
  function checked(request: BatchRequest): PictureSize {
    checkRows(request, parts.info.id, ['dynamicGuidance']);
    if (!config.use_rotary_positional_embeddings) requireTextTokens(request, config.max_text_seq_length, parts.info.id);
    const size = sizeOf(request);
    const { height, width, frames } = size;
    const tokens = latentFrames(frames) * (height / multiple) * (width / multiple);
    parts.requireMemory({
      size,
      tokens: tokens + (request.maxSequenceLength ?? config.max_text_seq_length),
      width: config.num_attention_heads * config.attention_head_dim,
      rows: request.prompts.length * (isGuided(request) ? 2 : 1),
    });
    return size;
  }

  // Nearly all of the latent is noise in most steps, so that its share does not tell them apart.
  const wayOf = ({ timestep }: GuidedStep): number => 1 - timestep / Number(scheduler.config.num_train_timesteps);

  const latentFrames = (frames: number): number => cogVideoXLatentFrames(frames, time);

  const isGuided = ({ guidance }: GuidanceRequest): boolean => guidance > 1;

  /** The prompts and, where they guide, those steered away from. */
  const textsOf = (request: TextsRequest): TextRequest[] =>
    [request.prompts, ...(isGuided(request) ? [request.prompts.map(() => request.negativePrompt ?? '')] : [])].map(
      texts => ({
        encoder: 'text_encoder',
        tokenizer: 'tokenizer',
        texts,
        length: request.maxSequenceLength ?? config.max_text_seq_length,
      }),
    );

  return {
    info: { ...parts.info, kind: 'clip', fps: FPS, defaults: COGVIDEOX_RUN },
    textLoss: request => parts.textLoss(textsOf(request)),
    schedule(request) {
      sizeOf(request);
      return { ...levelsOf(scheduleOf(request)), ...steeringOf(request, { isGuided: isGuided(request) }) };
    },

    prepare: (request, options) =>
      releasing(async (own): Promise<Job> => {
        const size = checked(request);
        const shape = [latentFrames(size.frames), geometry.latentChannels, size.height / space, size.width / space];
        const rows = request.prompts.length;
        const guide = isGuided(request);

        const texts: tf.Tensor[] = [];
        for (const [i, wanted] of textsOf(request).entries()) {
          const { ids, states } = own(await parts.encode(wanted, options));
          const name = i === 0 ? '' : 'negative_';
          watch(`${name}input_ids`, ids.flat());
          watch(`${name}prompt_embeds`, states);
          texts.unshift(states);
        }

        const model = await parts.transformer();
        const schedule = scheduleOf(request);
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
          guide: guide ? within(negativeFirst(scales), request.guidanceInterval, wayOf) : unguided,
          latents,
          size,
          ...levelsOf(schedule),
          ...steeringOf(request, { isGuided: guide }),
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

    async encodePrompts(request, options) {
      checked(request);
      for (const texts of textsOf(request)) release(await parts.encode(texts, options));
    },
    embeddings: parts.embeddings,
    async decode(latents, _, options) {
      const channelsFirst = tf.transpose(latents, [0, 2, 1, 3, 4]);
      return decodeLatents(parts, channelsFirst, options).finally(() => channelsFirst.dispose());
    },
    dispose: () => parts.dispose(),
  };
}
