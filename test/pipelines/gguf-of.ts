import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ggufHeader } from '../../bench/gguf-header';
import { openSafetensorsAt } from '../../src/weights/disk';

/**
 * Writes the transformer of a small pipeline as a GGUF file of float32.
 * @param prefix before the names
 * @returns the path
 */
export async function ggufOf(folder: string, path: string, prefix = ''): Promise<string> {
  const source = await openSafetensorsAt(join(folder, 'transformer/diffusion_pytorch_model.safetensors'));
  const tensors = source.names.map(name => ({
    name: prefix + name,
    shape: source.entry(name).shape,
    dtype: 'F32' as const,
  }));
  const { header, offsets, bytes } = ggufHeader(tensors);
  const file = Buffer.alloc(header.length + bytes);
  header.copy(file);
  for (const [i, name] of source.names.entries()) {
    const { buffer, byteOffset, byteLength } = await source.read(name);
    file.set(new Uint8Array(buffer, byteOffset, byteLength), header.length + offsets[i]!);
  }
  await source.close();
  writeFileSync(path, file);
  return path;
}
