/**
 * The pipeline of small FLUX models that paint pixels directly: words to a table's rows, noise to tokens of pixels,
 * no autoencoder. `pipeline.json` names the geometry.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { ShapeError } from '../errors';
import { image } from '../media/pixels';
import type { Denoiser } from '../models/denoiser';
import type { FluxCondition } from '../models/flux';
import { release } from '../nn/scope';
import { torchGenerator } from '../random/torch-generator';
import {
  createFlowMatchEuler,
  dynamicShift,
  type FlowMatchEulerConfig,
  flowMatchEulerGrid,
  linspace,
} from '../schedulers/flow-match-euler';
import { embedWords, type WordTable } from '../text/word-table';
import { batchedGuidance, doubled, single, unguided } from './guidance';
import { unpatchPixels } from './patches';
import type { Job, Pipeline, PipelineInfo, Request } from './pipeline';

export const pixelImageConfig = z.object({
  patch: z.int().positive(),
  grid: z.int().positive(),
  channels_per_token: z.int().positive(),
  default_steps: z.int().positive(),
  default_guidance: z.number(),
});
export type PixelImageConfig = z.infer<typeof pixelImageConfig>;

export interface PixelImageParts {
  readonly info: PipelineInfo;
  readonly config: PixelImageConfig;
  readonly model: Denoiser;
  readonly scheduler: FlowMatchEulerConfig;
  readonly words: WordTable;
  /** The text table `[V, E]`, owned by the pipeline. */
  readonly embeddings: tf.Tensor2D;
  readonly padId: number;
}

/** Axis of a token latent `[B, N, C]` that holds channels. */
const CHANNEL_AXIS = 2;

export function createPixelImage(parts: PixelImageParts): Pipeline {
  const { info, config, model, scheduler, words, embeddings, padId } = parts;
  const tokens = config.grid * config.grid;
  const imgIds = Array.from({ length: tokens }, (_, n) => [0, Math.floor(n / config.grid), n % config.grid]);

  /** Text of all rows, the guidance rows after the prompts' own. */
  function condition(request: Request, guide: boolean): FluxCondition {
    const ids = request.prompts.map(p => words.encode(p).ids);
    const negative = request.prompts.map(() => words.encode(request.negativePrompt ?? '').ids);
    const { states, pooled } = embedWords(embeddings, guide ? [...ids, ...negative] : ids, padId);
    return { encoderHiddenStates: states, pooledProjections: pooled, imgIds };
  }

  return {
    info,
    unknownWords: prompt => words.encode(prompt).unknown,

    async prepare(request): Promise<Job> {
      const batch = request.prompts.length;
      if (request.seeds.length !== batch || batch === 0) {
        throw new ShapeError(`${batch} prompts were given ${request.seeds.length} seeds.`, {
          hint: 'Give every prompt one seed.',
        });
      }
      const guide = request.guidance !== 1;
      const grid = flowMatchEulerGrid(scheduler, {
        steps: request.steps,
        sigmas: linspace(1, 1 / request.steps, request.steps),
        ...(scheduler.use_dynamic_shifting && { mu: dynamicShift(scheduler, tokens) }),
      });
      const text = condition(request, guide);
      const shape = [batch, tokens, config.channels_per_token];
      const context = model.prepare(text, [guide ? 2 * batch : batch, ...shape.slice(1)]);
      release(text);
      const latents = tf.tidy(() =>
        tf.stack(request.seeds.map(seed => tf.tensor(torchGenerator(seed).normal(shape.slice(1)), shape.slice(1)))),
      );
      return {
        branches: [{ name: guide ? 'guided' : 'conditional', model, context, expand: guide ? doubled : single }],
        guide: guide ? batchedGuidance(request.guidance) : unguided,
        latents,
        sigmas: grid.sigmas,
        channelAxis: CHANNEL_AXIS,
        solver: (sigmas = grid.sigmas) =>
          createFlowMatchEuler(scheduler, {
            sigmas,
            timesteps: sigmas.slice(0, -1).map(s => Math.fround(Math.fround(s) * scheduler.num_train_timesteps)),
          }),
        release() {
          release(context);
          latents.dispose();
        },
      };
    },

    async decode(latents) {
      const [batch, , channels] = latents.shape as [number, number, number];
      const values = await latents.data<'float32'>();
      const size = config.grid * config.patch;
      return Array.from({ length: batch }, (_, b) => {
        const own = values.slice(b * tokens * channels, (b + 1) * tokens * channels);
        return image(unpatchPixels(own, { rows: config.grid, columns: config.grid, patch: config.patch }), size, size);
      });
    },

    dispose() {
      model.weights.dispose();
      embeddings.dispose();
    },
  };
}
