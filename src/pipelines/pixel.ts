/**
 * The pipeline of small models that paint pixels directly: words to a table's rows, noise to pixels, no autoencoder.
 */
import * as tf from '@tensorflow/tfjs-core';
import { UnsupportedError } from '../errors';
import type { Resize } from '../media/pixels';
import type { PixelFormat } from '../models/pixel-format';
import { release, tidy } from '../nn/scope';
import { torchGenerator } from '../random/torch-generator';
import { batchedGuidance, denoiserBranch, doubled, single, unguided, within } from '../sampling/guidance';
import { firstStep, refusePicture } from '../sampling/initial-picture';
import { withLifetime } from '../sampling/lifetime';
import type {
  BatchRequest,
  Job,
  PictureSize,
  Pipeline,
  PipelineInfo,
  RunLevels,
  ScheduleRequest,
} from '../sampling/pipeline';
import { checkRows } from '../sampling/rows';
import { refuseSecondGuidance, refuseTrueGuidance, steeringOf } from '../sampling/steering';
import {
  createFlowMatchEuler,
  dynamicShift,
  type FlowMatchEulerConfig,
  flowMatchEulerGrid,
  linspace,
} from '../schedulers/flow-match-euler';
import { embedWords, type WordTable } from '../text/word-table';
import type { Denoiser } from '../transformer/denoiser';

export interface PixelParts {
  readonly info: PipelineInfo;
  readonly format: PixelFormat;
  readonly model: Denoiser;
  readonly scheduler: FlowMatchEulerConfig;
  readonly words: WordTable;
  /** The text table `[V, E]`, owned by the pipeline. */
  readonly embeddings: tf.Tensor2D;
  readonly padId: number;
  /** Brings a picture to begin with to the model's size. */
  readonly resize: Resize;
}

/** @throws UnsupportedError for another size than the only one */
function requireOwnSize({ id, kind, size: own }: PipelineInfo, size: BatchRequest['size'] = {}): void {
  const others = Object.entries(size).flatMap(([name, value]) =>
    value === undefined || value === own?.[name as keyof PictureSize] ? [] : [name],
  );
  if (others.length === 0) return;
  const only = own ? `, ${own.width}×${own.height}${kind === 'clip' ? `, ${own.frames} frames` : ''}` : '';
  const draws = kind === 'clip' ? 'clips of one size and length' : 'pictures of one size';
  throw new UnsupportedError(`${id} draws ${draws}${only}.`, { hint: `Omit ${others.join(' and ')}.` });
}

export function createPixelPipeline(parts: PixelParts): Pipeline {
  const { info, format, model, scheduler, words, embeddings, padId, resize } = parts;

  /** Text of all rows, the guidance rows after the prompts' own. */
  function condition(request: BatchRequest, guide: boolean): object {
    const ids = request.prompts.map(p => words.encode(p).ids);
    const negative = request.prompts.map(() => words.encode(request.negativePrompt ?? '').ids);
    const { states, pooled } = embedWords(embeddings, guide ? [...ids, ...negative] : ids, padId);
    return format.condition(states, pooled);
  }

  function levelsOf(request: ScheduleRequest): RunLevels {
    const { steps, size, init, shift } = request;
    refuseTrueGuidance(request, info.id);
    refuseSecondGuidance(request, info.id);
    requireOwnSize(info, size);
    if (!format.encode) refusePicture({ init }, info.id);
    const skipped = init ? firstStep(steps, init.strength) : 0;
    const { sigmas } = flowMatchEulerGrid(scheduler, {
      steps,
      sigmas: linspace(1, 1 / steps, steps),
      shift,
      ...(scheduler.use_dynamic_shifting && { mu: dynamicShift(scheduler, format.tokens) }),
    });
    return {
      sigmas: sigmas.slice(skipped),
      ...(init && { base: { sigmas, skipped } }),
      ...steeringOf(request, { isGuided: request.guidance !== 1 }),
    };
  }

  return withLifetime({
    info,
    schedule: levelsOf,
    async textLoss({ prompts, negativePrompt, guidance }) {
      const texts = [...prompts, ...(guidance !== 1 && negativePrompt ? [negativePrompt] : [])];
      return [...new Set(texts)].flatMap(prompt => {
        const { unknown, dropped } = words.encode(prompt);
        if (unknown.length + dropped.length === 0) return [];
        const limit = { count: words.maxLength, unit: 'words' } as const;
        return [{ encoder: 'text', prompt, unknown, dropped: dropped.join(' '), limit }];
      });
    },

    async prepare(request): Promise<Job> {
      checkRows(request, info.id);
      const batch = request.prompts.length;
      if (request.maxSequenceLength !== undefined) {
        throw new UnsupportedError(`${info.id} reads ${words.maxLength} words of a prompt, neither more nor fewer.`, {
          hint: 'Omit the length of the prompt (--max-sequence-length).',
        });
      }
      const { sigmas, base, steering } = levelsOf(request);
      const { init } = request;
      const { height, width } = format.size;
      const picture = init && format.encode?.(await resize(init.image, height, width));
      const guide = request.guidance !== 1;
      const shape = [...format.latentShape];
      const { latents, context } = tidy(() => {
        const noise = tf.stack(request.seeds.map(seed => tf.tensor(torchGenerator(seed).normal(shape), shape)));
        const rows = guide ? 2 * batch : batch;
        const sigma = sigmas[0] as number;
        const start = picture ? tf.add(tf.mul(noise, sigma), tf.mul(tf.tensor(picture, shape), 1 - sigma)) : noise;
        return { latents: start, context: model.prepare(condition(request, guide), [rows, ...shape]) };
      });
      return {
        branches: [
          denoiserBranch({ name: guide ? 'guided' : 'conditional', model, context, expand: guide ? doubled : single }),
        ],
        guide: guide ? within(batchedGuidance(request.guidance), request.guidanceInterval) : unguided,
        latents,
        sigmas,
        ...(base && { base }),
        ...(steering && { steering }),
        channelAxis: format.channelAxis,
        solver: (levels = sigmas) =>
          createFlowMatchEuler(scheduler, {
            sigmas: levels,
            timesteps: levels.slice(0, -1).map(s => Math.fround(Math.fround(s) * scheduler.num_train_timesteps)),
          }),
        release() {
          release(context);
          latents.dispose();
        },
      };
    },

    async decode(latents) {
      const values = await latents.data<'float32'>();
      const size = format.latentShape.reduce((a, b) => a * b, 1);
      return Array.from({ length: latents.shape[0] as number }, (_, row) =>
        format.decode(values.slice(row * size, (row + 1) * size)),
      );
    },

    dispose() {
      model.weights.dispose();
      embeddings.dispose();
    },
  });
}
