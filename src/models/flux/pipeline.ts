/**
 * FLUX.1 (Black Forest Labs, 2024; diffusers `FluxPipeline`): CLIP's pooled vector and T5's states, guidance that the
 * model is told; true guidance, from a second call, where it is asked for.
 */
import type * as tf from '@tensorflow/tfjs-core';
import { UnsupportedError } from '../../errors';
import { parseConfig } from '../../io/parse-config';
import type { EncodedTexts } from '../../sampling/embeddings';
import type { GuidanceRequest, Pipeline } from '../../sampling/pipeline';
import { steeringOf } from '../../sampling/steering';
import type { PipelineParts } from '../pipeline-parts';
import { widthOf } from './blocks';
import { latentPipeline } from './latent-pipeline';
import { type FluxCondition, fluxConfig } from './transformer';
import { fluxUsualRun } from './usual';

/** Tokens of T5: the guided model's, and those of the model that was distilled to few steps. */
const TEXT_TOKENS = { guided: 512, distilled: 256 };

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
  const { watch } = parts;
  const config = parseConfig(fluxConfig, parts.config('transformer'), 'transformer/config.json');
  return latentPipeline(parts, {
    defaults: fluxUsualRun(config),
    width: widthOf(config),
    textTokens: TEXT_TOKENS[config.guidance_embeds ? 'guided' : 'distilled'],
    uses: ['prompts2'],
    check: requireUse,
    guidanceOf: trueGuidance,

    steered(request) {
      const trueCfgScale = trueGuidance(request);
      return steeringOf(request, { isGuided: trueCfgScale !== undefined, trueCfgScale });
    },

    texts: ({ prompts, prompts2 = prompts }, length) => [
      { encoder: 'text_encoder', tokenizer: 'tokenizer', texts: prompts },
      { encoder: 'text_encoder_2', tokenizer: 'tokenizer_2', texts: prompts2, length },
    ],

    condition(encoded, { prompts, guidance }, imgIds, prefix): FluxCondition {
      const [clip, t5] = encoded as [EncodedTexts, EncodedTexts];
      const condition = {
        encoderHiddenStates: t5.states,
        pooledProjections: clip.pooled as tf.Tensor,
        guidance: prompts.map(() => guidance),
        imgIds,
      };
      watch(`${prefix}clip_input_ids`, clip.ids.flat());
      watch(`${prefix}t5_input_ids`, t5.ids.flat());
      watch(`${prefix}prompt_embeds`, condition.encoderHiddenStates);
      watch(`${prefix}pooled_prompt_embeds`, condition.pooledProjections);
      watch(
        `${prefix}txt_ids`,
        (t5.ids[0] ?? []).flatMap(() => [0, 0, 0]),
      );
      return condition;
    },
  });
}
