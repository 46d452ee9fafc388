import { requireFrames } from '../../sampling/frame-rule';
import type { PictureSize } from '../../sampling/pipeline';
import { LATENT_PIXELS, requireMultiple, rowsByName, type Workload } from '../workload';
import type { CogVideoXConfig } from './transformer';
import { cogVideoXFrames, cogVideoXLatentFrames } from './usual';

/** What a forward pass of CogVideoX has to do. @throws UsageError for a size that CogVideoX cannot draw */
export function cogVideoXWorkload(c: CogVideoXConfig, size: PictureSize, textTokens = c.max_text_seq_length): Workload {
  requireMultiple(size, [c.patch_size * LATENT_PIXELS, c.patch_size * LATENT_PIXELS], 'CogVideoX');
  const ratio = c.temporal_compression_ratio;
  requireFrames(size.frames, cogVideoXFrames(ratio));
  const frames = cogVideoXLatentFrames(size.frames, ratio);
  const [height, columns] = [size.height / LATENT_PIXELS, size.width / LATENT_PIXELS];
  const tokens = frames * (height / c.patch_size) * (columns / c.patch_size);
  const both = tokens + textTokens;
  const width = c.num_attention_heads * c.attention_head_dim;
  return {
    size,
    latent: [1, frames, c.in_channels, height, columns],
    channelAxis: 2,
    tokens,
    textTokens,
    width,
    heads: c.num_attention_heads,
    rows: rowsByName(
      [
        [/^time_embedding\.|\.norm[12]\.linear\.|^norm_out\./, 1],
        [/\.text_proj\./, textTokens],
        [/^patch_embed\.|^proj_out\./, tokens],
      ],
      both,
    ),
    attention: () => [{ count: 1, queries: both, keys: both, width }],
  };
}
