/**
 * Wan2.1 text to video (Wan Team, 2025; diffusers `WanPipeline`): cleaned prompts, UMT5's states with zeros for padding,
 * classifier-free guidance from two calls.
 */
import * as tf from '@tensorflow/tfjs-core';
import { parseConfig } from '../../io/parse-config';
import { release } from '../../nn/scope';
import type { Pipeline } from '../../sampling/pipeline';
import { usualSize } from '../../sampling/rows';
import { requireFixedShift } from '../../sampling/schedule';
import { guidedPipeline } from '../guided-pipeline';
import type { PipelineParts } from '../pipeline-parts';
import { TEXT_TOKENS } from '../workload';
import { type WanCondition, wanConfig } from './transformer';
import { WAN_FRAMES, WAN_RUN, WAN_SIZE } from './usual';
import { wanWorkload } from './workload';

const FPS = 16;
const TRIAL = { width: 96, height: 64, frames: 9 };

/** Wan2.1 from its parts, which the pipeline disposes. */
export function wanPipeline(parts: PipelineParts): Pipeline {
  const { geometry, scheduler, watch } = parts;
  requireFixedShift(scheduler);
  const config = parseConfig(wanConfig, parts.config('transformer'), 'transformer/config.json');
  return guidedPipeline(parts, {
    kind: 'clip',
    fps: FPS,
    defaults: WAN_RUN,
    usual: usualSize(parts.info.parameters, WAN_SIZE, TRIAL),
    multiple: geometry.compression.space * config.patch_size[1],
    frames: WAN_FRAMES,
    textTokens: TEXT_TOKENS,
    workload: (size, textTokens) => wanWorkload(config, size, textTokens),

    async text(texts, length) {
      const { cleanWanPrompt } = await import('../../text/cleaning');
      return {
        encoder: 'text_encoder',
        tokenizer: 'tokenizer',
        texts: texts.map(text => cleanWanPrompt(text)),
        length,
        masked: true,
      };
    },

    /** UMT5's states `[B, N, D]`, zeros where a text has ended. */
    condition(encoded, prefix): WanCondition {
      const states = tf.tidy(() => tf.mul(encoded.states, tf.expandDims(tf.tensor2d(encoded.mask as number[][]), -1)));
      release(encoded);
      watch(`${prefix}input_ids`, encoded.ids.flat());
      watch(`${prefix}attention_mask`, encoded.mask.flat());
      watch(`${prefix}prompt_embeds`, states);
      return { encoderHiddenStates: states };
    },
  });
}
