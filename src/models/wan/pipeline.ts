/**
 * Wan2.1 text to video (Wan Team, 2025; diffusers `WanPipeline`): cleaned prompts, UMT5's states with zeros for padding,
 * classifier-free guidance from two calls.
 */
import * as tf from '@tensorflow/tfjs-core';
import { parseConfig } from '../../io/parse-config';
import { release, tidy } from '../../nn/scope';
import type { TextRequest } from '../../sampling/embeddings';
import { denoiserBranch, separateGuidance, single, unguided } from '../../sampling/guidance';
import { refusePicture } from '../../sampling/initial-picture';
import type { BatchRequest, Job, PictureSize, Pipeline, ScheduleRequest, TextsRequest } from '../../sampling/pipeline';
import { checkRows, noiseSource, releasing, requestedSize, usualSize } from '../../sampling/rows';
import { levelsOf } from '../../sampling/schedule';
import { cleanWanPrompt } from '../../text/cleaning';
import { decodeLatents } from '../decode-latents';
import type { PipelineParts } from '../pipeline-parts';
import { wanConfig } from './transformer';
import { WAN_RUN, WAN_SIZE } from './usual';

const BRANCHES = ['conditional', 'unconditional'] as const;
const TEXT_TOKENS = 512;
const FPS = 16;
const TRIAL = { width: 96, height: 64, frames: 9 };

/** Wan2.1 from its parts, which the pipeline disposes. */
export function wanPipeline(parts: PipelineParts): Pipeline {
  const { geometry, scheduler, watch } = parts;
  const config = parseConfig(wanConfig, parts.config('transformer'), 'transformer/config.json');
  const usual = usualSize(parts.info.parameters, WAN_SIZE, TRIAL);

  /** UMT5's states `[B, N, D]`, zeros where a text has ended. */
  async function encode(texts: TextRequest, name: string): Promise<tf.Tensor> {
    const encoded = await parts.encode(texts);
    const states = tf.tidy(() => tf.mul(encoded.states, tf.expandDims(tf.tensor2d(encoded.mask as number[][]), -1)));
    release(encoded);
    watch(`${name}input_ids`, encoded.ids.flat());
    watch(`${name}attention_mask`, encoded.mask.flat());
    watch(`${name}prompt_embeds`, states);
    return states;
  }

  function sizeOf(request: ScheduleRequest): PictureSize {
    refusePicture(request, parts.info.id);
    return requestedSize(request, usual, geometry.compression.space * config.patch_size[1]);
  }

  /** The size that is asked for; refuses what cannot be drawn, before anything is loaded. */
  function checked(request: BatchRequest): PictureSize {
    checkRows(request);
    const size = sizeOf(request);
    const [, frames, height, width] = geometry.latentShape(size) as [number, number, number, number];
    const [t, h, w] = config.patch_size;
    parts.requireMemory({
      size,
      tokens: (frames / t) * (height / h) * (width / w) + (request.maxSequenceLength ?? TEXT_TOKENS),
      width: config.num_attention_heads * config.attention_head_dim,
      rows: request.prompts.length,
    });
    return size;
  }

  const isGuided = (request: TextsRequest): boolean => request.guidance > 1;

  /** The prompts and, where they guide, those steered away from. */
  const textsOf = (request: TextsRequest): TextRequest[] =>
    [request.prompts, ...(isGuided(request) ? [request.prompts.map(() => request.negativePrompt ?? '')] : [])].map(
      texts => ({
        encoder: 'text_encoder',
        tokenizer: 'tokenizer',
        texts: texts.map(text => cleanWanPrompt(text)),
        length: request.maxSequenceLength ?? TEXT_TOKENS,
        masked: true,
      }),
    );

  return {
    info: { ...parts.info, kind: 'clip', fps: FPS, defaults: WAN_RUN },
    textLoss: request => parts.textLoss(textsOf(request)),
    schedule(request) {
      sizeOf(request);
      return levelsOf(scheduler.schedule({ steps: request.steps }));
    },

    prepare: request =>
      releasing(async (own): Promise<Job> => {
        const size = checked(request);
        const shape = geometry.latentShape(size);
        const guided = isGuided(request);
        const texts: tf.Tensor[] = own([]);
        for (const [i, wanted] of textsOf(request).entries())
          texts.push(await encode(wanted, i === 0 ? '' : 'negative_'));

        const model = await parts.transformer();
        const schedule = scheduler.schedule({ steps: request.steps });
        const { latents, contexts } = tidy(() => ({
          latents: noiseSource(request.seeds, shape)(),
          contexts: texts.map(encoderHiddenStates =>
            model.prepare({ encoderHiddenStates }, [request.prompts.length, ...shape]),
          ),
        }));
        return {
          branches: contexts.map((context, i) =>
            denoiserBranch({ name: BRANCHES[i] as string, model, context, expand: single }),
          ),
          guide: guided ? separateGuidance(request.guidance) : unguided,
          latents,
          size,
          ...levelsOf(schedule),
          solver: schedule.solver,
          channelAxis: 1,
          release: () => release([contexts, latents]),
        };
      }),

    async encodePrompts(request) {
      checked(request);
      for (const texts of textsOf(request)) release(await encode(texts, ''));
    },
    embeddings: parts.embeddings,
    decode: (latents, _, options) => decodeLatents(parts, latents, options),
    dispose: () => parts.dispose(),
  };
}
