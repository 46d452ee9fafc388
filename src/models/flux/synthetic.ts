import { noiseRows, type Synthetic } from '../synthetic';
import { LATENT_PIXELS } from '../workload';
import type { FluxConfig } from './transformer';

/** A token stands for two by two latent pixels. */
const TOKEN_PIXELS = 2 * LATENT_PIXELS;

/** Made-up conditions. */
export const fluxSynthetic: Synthetic<FluxConfig> = {
  guidance: 'embedded',
  condition(c, work, seeds) {
    const columns = work.size.width / TOKEN_PIXELS;
    return {
      encoderHiddenStates: noiseRows(seeds, [work.textTokens, c.joint_attention_dim]),
      pooledProjections: noiseRows(seeds, [c.pooled_projection_dim]),
      imgIds: Array.from({ length: work.tokens }, (_, i) => [0, Math.floor(i / columns), i % columns]),
      ...(c.guidance_embeds && { guidance: seeds.map(() => 3.5) }),
    };
  },
  shortened: (c, blocks) => ({
    ...c,
    num_layers: Math.min(blocks, c.num_layers),
    num_single_layers: Math.min(blocks, c.num_single_layers),
  }),
};
