import { requireFrames } from '../../sampling/frame-rule';
import type { PictureSize } from '../../sampling/pipeline';
import { LATENT_PIXELS, requireMultiple, rowsByName, TEXT_TOKENS, type Workload } from '../workload';
import type { WanConfig } from './transformer';
import { WAN_FRAMES } from './usual';

/** What a forward pass of Wan has to do. @throws UsageError for a size that Wan cannot draw */
export function wanWorkload(c: WanConfig, size: PictureSize, textTokens = TEXT_TOKENS): Workload {
  const [pt, ph, pw] = c.patch_size;
  requireMultiple(size, [ph * LATENT_PIXELS, pw * LATENT_PIXELS], 'Wan');
  requireFrames(size.frames, WAN_FRAMES);
  const frames = (size.frames - 1) / 4 + 1;
  const [height, columns] = [size.height / LATENT_PIXELS, size.width / LATENT_PIXELS];
  const tokens = (frames / pt) * (height / ph) * (columns / pw);
  const width = c.num_attention_heads * c.attention_head_dim;
  return {
    size,
    latent: [1, c.in_channels, frames, height, columns],
    channelAxis: 1,
    tokens,
    textTokens,
    width,
    heads: c.num_attention_heads,
    rows: rowsByName(
      [
        [/\.time_embedder\.|\.time_proj\./, 1],
        [/\.text_embedder\.|\.attn2\.to_[kv]\./, textTokens],
      ],
      tokens,
    ),
    attention: () => [
      { count: 1, queries: tokens, keys: tokens, width },
      { count: 1, queries: tokens, keys: textTokens, width },
    ],
  };
}
