import type { Preset } from '../../preset';
import { fluxAutoencoder, unshifted } from '../presets';

/** Chroma as its author published it. */
export const chromaPresets: readonly Preset[] = [
  {
    name: 'chroma1-hd',
    title: 'Chroma1-HD',
    transformer: {
      _class_name: 'ChromaTransformer2DModel',
      num_layers: 19,
      num_single_layers: 38,
      num_attention_heads: 24,
      attention_head_dim: 128,
      in_channels: 64,
      joint_attention_dim: 4096,
      axes_dims_rope: [16, 56, 56],
      approximator_num_channels: 64,
      approximator_hidden_dim: 5120,
      approximator_layers: 5,
    },
    scheduler: unshifted,
    autoencoder: fluxAutoencoder,
  },
];
