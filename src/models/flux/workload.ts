import { requireFrames } from '../../sampling/frame-rule';
import type { PictureSize } from '../../sampling/pipeline';
import { LATENT_PIXELS, requireMultiple, rowsByName, TEXT_TOKENS, type Workload } from '../workload';
import { type Stack, widthOf } from './blocks';
import { FLUX_FRAMES } from './usual';

/** What a forward pass of FLUX has to do. @throws UsageError for a size that FLUX cannot draw */
export function fluxWorkload(
  c: Stack & { readonly in_channels: number },
  size: PictureSize,
  textTokens = TEXT_TOKENS,
): Workload {
  requireMultiple(size, [2 * LATENT_PIXELS, 2 * LATENT_PIXELS], 'FLUX');
  requireFrames(size.frames, FLUX_FRAMES);
  const tokens = (size.height * size.width) / (2 * LATENT_PIXELS) ** 2;
  const both = tokens + textTokens;
  const width = widthOf(c);
  return {
    size,
    latent: [1, tokens, c.in_channels],
    channelAxis: 2,
    tokens,
    textTokens,
    width,
    heads: c.num_attention_heads,
    rows: rowsByName(
      [
        [/^time_text_embed\.|\.norm1?(_context)?\.linear\.|^norm_out\./, 1],
        [/^context_embedder\.|\.add_[qkv]_proj\.|\.to_add_out\.|\.ff_context\./, textTokens],
        [/^single_transformer_blocks\./, both],
      ],
      tokens,
    ),
    attention: () => [{ count: 1, queries: both, keys: both, width }],
  };
}
