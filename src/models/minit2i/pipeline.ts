/**
 * MiniT2I (2026; `MiniT2ITextToImagePipeline` of its repository): FLAN-T5's states with a mask, pixels without an
 * autoencoder, guidance away from no text at all within an interval of the run.
 */
import * as tf from '@tensorflow/tfjs-core';
import { parseConfig } from '../../io/parse-config';
import { release } from '../../nn/scope';
import type { Pipeline } from '../../sampling/pipeline';
import { requireFixedShift } from '../../sampling/schedule';
import { eulerSteps } from '../../schedulers/euler';
import { guidedPipeline } from '../guided-pipeline';
import type { PipelineParts } from '../pipeline-parts';
import { miniT2IConfig } from './config';
import type { MiniT2ICondition } from './transformer';
import { miniT2IRun, miniT2ISize } from './usual';
import { miniT2IWorkload } from './workload';

/** MiniT2I from its parts, which the pipeline disposes. */
export function miniT2IPipeline(parts: PipelineParts): Pipeline {
  const { scheduler, watch } = parts;
  requireFixedShift(scheduler);
  const config = parseConfig(miniT2IConfig, parts.config('transformer'), 'transformer/config.json');
  return guidedPipeline(parts, {
    kind: 'image',
    defaults: miniT2IRun(config),
    usual: miniT2ISize(config),
    multiple: config.patch_size,
    textTokens: config.prompt_length,
    workload: (size, textTokens) => miniT2IWorkload(config, size, textTokens),
    noiseScale: config.noise_scale,
    isGuided: guidance => guidance !== 1,
    guidanceInterval: config.cfg_interval,

    text: (texts, length) => ({ encoder: 'text_encoder', tokenizer: 'tokenizer', texts, length, masked: true }),

    condition(encoded, prefix): MiniT2ICondition {
      const { states, ids, mask } = encoded;
      watch(`${prefix}input_ids`, ids.flat());
      watch(`${prefix}attention_mask`, mask.flat());
      watch(`${prefix}prompt_embeds`, states);
      release(encoded.pooled);
      return { encoderHiddenStates: states, mask: tf.tensor2d(mask as number[][]) };
    },

    /** One row for all: every token is the one that stands for no text. */
    unconditional: textTokens => ({
      encoderHiddenStates: tf.zeros([1, textTokens, config.txt_input_size]),
      mask: tf.zeros([1, textTokens]),
    }),

    // The velocities of the last steps are those of the floor.
    solver: solver => ({ ...solver, clean: eulerSteps(solver, config.velocity_floor).clean }),
  });
}
