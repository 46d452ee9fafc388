import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensorsAt } from '../../src/weights/disk';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { altered } from './altered';

/** A tiny pipeline in the layout of FLUX.1-schnell: the transformer is not told its guidance, and nothing is shifted. */
export async function schnell(): Promise<string> {
  const folder = altered('flux-tiny', {
    'transformer/config.json': { guidance_embeds: false },
    'scheduler/scheduler_config.json': { shift: 1, use_dynamic_shifting: false },
  });
  const path = join(folder, 'transformer/diffusion_pytorch_model.safetensors');
  const source = await openSafetensorsAt(path);
  const kept = new Map<string, TensorToWrite>();
  for (const name of source.names) {
    if (name.includes('guidance_embedder')) continue;
    kept.set(name, { dtype: 'F32', shape: source.entry(name).shape, data: await source.read(name) });
  }
  await source.close();
  writeFileSync(path, encodeSafetensors(kept));
  return folder;
}
