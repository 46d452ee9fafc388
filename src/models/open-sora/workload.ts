import { requireFrames } from '../../sampling/frame-rule';
import type { PictureSize } from '../../sampling/pipeline';
import { LATENT_PIXELS, requireMultiple, rowsByName, type Workload } from '../workload';
import type { OpenSoraConfig } from './transformer';
import { OPEN_SORA_FRAMES } from './usual';

/** What a forward pass of Open-Sora has to do. @throws UsageError for a size that Open-Sora cannot draw */
export function openSoraWorkload(c: OpenSoraConfig, size: PictureSize, textTokens = c.model_max_length): Workload {
  requireMultiple(size, [LATENT_PIXELS, LATENT_PIXELS], 'Open-Sora');
  requireFrames(size.frames, OPEN_SORA_FRAMES);
  // Its autoencoder takes 17 frames at a time and makes 5 of them.
  const frames = size.frames === 1 ? 1 : Math.floor(size.frames / 17) * 5 + Math.ceil((size.frames % 17) / 4);
  const latent = [frames, size.height / LATENT_PIXELS, size.width / LATENT_PIXELS];
  const [times, rows, columns] = latent.map((count, i) => Math.ceil(count / c.patch_size[i]!)) as [
    number,
    number,
    number,
  ];
  const places = rows * columns;
  const tokens = times * places;
  const width = c.hidden_size;
  return {
    size,
    latent: [1, c.in_channels, ...latent],
    channelAxis: 1,
    tokens,
    textTokens,
    width,
    heads: c.num_heads,
    rows: rowsByName(
      [
        [/^t_embedder\.|^fps_embedder\.|^t_block\./, 1],
        [/^y_embedder\.|\.kv_linear\./, textTokens],
      ],
      tokens,
    ),
    attention: block => [
      block.startsWith('spatial')
        ? { count: times, queries: places, keys: places, width }
        : { count: places, queries: times, keys: times, width },
      { count: 1, queries: tokens, keys: textTokens, width },
    ],
  };
}
