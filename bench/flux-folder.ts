import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { preset } from '../src/models/presets';
import { writeCheckpoint } from './synthetic-checkpoint';

/** The text encoders, autoencoder and sampler: those of a small pipeline, which take no time. */
const SMALL = 'test/fixtures/pipelines/flux-tiny/pipeline';

/**
 * Writes a pipeline folder of FLUX.1 with made-up weights: a double and a single block of the real width (0.6 GB), all else
 * small.
 */
export function writeFlux(root: string): void {
  cpSync(SMALL, root, { recursive: true });
  const folder = join(root, 'transformer');
  const small = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  const { num_attention_heads, attention_head_dim, axes_dims_rope } = preset('flux-dev').transformer;
  rmSync(join(folder, 'diffusion_pytorch_model.safetensors'));
  const wide = { num_attention_heads, attention_head_dim, axes_dims_rope };
  writeCheckpoint(folder, { ...small, ...wide, num_layers: 1, num_single_layers: 1 });
}
