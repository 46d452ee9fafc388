import { range } from '../../nn/positions';
import { noiseRows, type Synthetic } from '../synthetic';
import { LATENT_PIXELS, type Workload } from '../workload';
import type { Stack } from './blocks';
import { PATCH } from './latents';
import type { FluxConfig } from './transformer';

const TOKEN_PIXELS = PATCH * LATENT_PIXELS;

/** Position of every image token. */
export function imagePositions({ size, tokens }: Workload): number[][] {
  const columns = size.width / TOKEN_PIXELS;
  return range(tokens).map(i => [0, Math.floor(i / columns), i % columns]);
}

/** The same model with at most `blocks` blocks of either kind. */
export const shortenedStack = <Config extends Stack>(c: Config, blocks: number): Config => ({
  ...c,
  num_layers: Math.min(blocks, c.num_layers),
  num_single_layers: Math.min(blocks, c.num_single_layers),
});

/** Made-up conditions. */
export const fluxSynthetic: Synthetic<FluxConfig> = {
  guidance: 'embedded',
  condition: (c, work, seeds) => ({
    encoderHiddenStates: noiseRows(seeds, [work.textTokens, c.joint_attention_dim]),
    pooledProjections: noiseRows(seeds, [c.pooled_projection_dim]),
    imgIds: imagePositions(work),
    ...(c.guidance_embeds && { guidance: seeds.map(() => 3.5) }),
  }),
  shortened: shortenedStack,
};
