/**
 * Chroma (lodestones, 2025; diffusers `ChromaPipeline`): T5's states without the padding, classifier-free guidance from
 * two calls.
 *
 * The model was trained to see one token of padding after a text, and no more of it. Tokens that nobody sees are left
 * out here, so texts cost what they are long. The pipeline of diffusers adds its mask of ones and zeros to the scores,
 * where padding stays in sight; pictures are those of the authors' code.
 */
import * as tf from '@tensorflow/tfjs-core';
import { parseConfig } from '../../../io/parse-config';
import type { EncodedTexts } from '../../../sampling/embeddings';
import type { GuidanceRequest, Pipeline } from '../../../sampling/pipeline';
import { refuseTrueGuidance, steeringOf } from '../../../sampling/steering';
import type { PipelineParts } from '../../pipeline-parts';
import { TEXT_TOKENS } from '../../workload';
import { widthOf } from '../blocks';
import { latentPipeline } from '../latent-pipeline';
import { chromaConfig } from './config';
import type { ChromaCondition } from './transformer';
import { CHROMA_RUN } from './usual';

const guidanceOf = ({ guidance }: GuidanceRequest): number | undefined => (guidance > 1 ? guidance : undefined);

/** 1 for the tokens of every text and one of padding after them, else 0. */
function seen({ mask }: EncodedTexts): number[][] {
  return mask.map(row => row.map((_, i) => (i === 0 || row[i - 1] === 1 ? 1 : 0)));
}

/** Chroma from its parts, which the pipeline disposes. */
export function chromaPipeline(parts: PipelineParts): Pipeline {
  const { watch } = parts;
  const config = parseConfig(chromaConfig, parts.config('transformer'), 'transformer/config.json');
  return latentPipeline(parts, {
    defaults: CHROMA_RUN,
    width: widthOf(config),
    textTokens: TEXT_TOKENS,
    check: request => refuseTrueGuidance(request, parts.info.id),
    guidanceOf,
    steered: request => steeringOf(request, { isGuided: guidanceOf(request) !== undefined }),
    texts: ({ prompts }, length) => [
      { encoder: 'text_encoder', tokenizer: 'tokenizer', texts: prompts, length, masked: true },
    ],

    condition([encoded], _, imgIds, prefix): ChromaCondition {
      const { states, ids } = encoded as EncodedTexts;
      const mask = seen(encoded as EncodedTexts);
      watch(`${prefix}input_ids`, ids.flat());
      watch(`${prefix}attention_mask`, mask.flat());
      watch(`${prefix}prompt_embeds`, states);
      const lengths = mask.map(row => row.filter(Boolean).length);
      const longest = Math.max(...lengths);
      return {
        encoderHiddenStates: tf.slice(states, [0, 0, 0], [-1, longest, -1]),
        ...(lengths.some(length => length < longest) && {
          mask: mask.map(row => [...row.slice(0, longest), ...imgIds.map(() => 1)]),
        }),
        imgIds,
      };
    },
  });
}
