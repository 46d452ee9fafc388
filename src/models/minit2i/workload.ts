import { UsageError } from '../../errors';
import { requireFrames } from '../../sampling/frame-rule';
import type { PictureSize } from '../../sampling/pipeline';
import { requireMultiple, rowsByName, type Workload } from '../workload';
import { attentionHeads, type MiniT2IConfig } from './config';
import { MINIT2I_FRAMES } from './usual';

/** What a forward pass of MiniT2I has to do. @throws UsageError for a size that it cannot draw */
export function miniT2IWorkload(c: MiniT2IConfig, size: PictureSize, textTokens = c.prompt_length): Workload {
  requireMultiple(size, [c.patch_size, c.patch_size], 'MiniT2I');
  requireFrames(size.frames, MINIT2I_FRAMES);
  if (size.height !== size.width) {
    throw new UsageError(`MiniT2I draws squares; ${size.height}x${size.width} was asked for.`, {
      hint: `Take ${size.width}x${size.width}.`,
    });
  }
  const tokens = (size.height / c.patch_size) ** 2;
  const both = tokens + textTokens;
  const last = `double_blocks.${c.depth_double - 1}.`;
  return {
    size,
    latent: [1, c.in_channels, size.height, size.width],
    channelAxis: 1,
    tokens,
    textTokens,
    width: c.hidden_size,
    heads: attentionHeads(c)[0],
    rows: name => (isIdle(name, last) ? 0 : rows(name)),
    attention: () => [{ count: 1, queries: both, keys: both, width: c.hidden_size }],
  };

  function rows(name: string): number {
    return rowsByName([[/\.txt_(qkv|attn_proj|mlp)\b/, textTokens]], tokens)(name);
  }
}

/** Made once a prompt, never read, or of a text that nothing reads any more. */
function isIdle(name: string, last: string): boolean {
  if (/\.(t_embedder|pooled_embedder|txt_embedder|txt_preamble_blocks)\./.test(name)) return true;
  return name.includes(last) && /\.txt_(attn_proj|mlp)\b/.test(name);
}
