import type { KeyLayout } from '../../../weights/key-layout';
import { doubleBlockKeys, singleBlockKeys } from '../keys';

const APPROXIMATOR = 'distilled_guidance_layer';

/** Chroma as its author publishes it: the names of FLUX.1, without modulations, and those of the approximator. */
export const chromaKeys: KeyLayout = {
  marker: `${APPROXIMATOR}.norms.0.scale`,
  groups: [
    {
      theirs: '',
      ours: '',
      modules: {
        img_in: 'x_embedder',
        txt_in: 'context_embedder',
        [`${APPROXIMATOR}.in_proj`]: `${APPROXIMATOR}.in_proj`,
        [`${APPROXIMATOR}.out_proj`]: `${APPROXIMATOR}.out_proj`,
        'final_layer.linear': 'proj_out',
      },
    },
    {
      theirs: `${APPROXIMATOR}.layers`,
      ours: `${APPROXIMATOR}.layers`,
      modules: { in_layer: 'linear_1', out_layer: 'linear_2' },
    },
    { theirs: `${APPROXIMATOR}.norms`, ours: `${APPROXIMATOR}.norms`, modules: { scale: 'weight' } },
    { theirs: 'double_blocks', ours: 'transformer_blocks', modules: doubleBlockKeys },
    { theirs: 'single_blocks', ours: 'single_transformer_blocks', modules: singleBlockKeys },
  ],
};
