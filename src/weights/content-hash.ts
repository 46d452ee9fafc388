import { type Sha256, sha256Stream } from '../io/sha256';
import type { ModelComponent } from './model-folder';
import { slices, type TensorSource } from './source';

/** Elements that are read at a time: 8 MB of float32. */
export const SLICE_ELEMENTS = 2 ** 21;

/**
 * Identity of a model's weights: SHA-256 over names, types, shapes and bytes of all tensors, sorted by name, so that
 * shards and single file of one checkpoint are the same. A converted model keeps that of its source.
 * Reads every tensor unless the identity was recorded.
 */
export async function contentHash({ source, contentHash: known }: ModelComponent): Promise<string> {
  if (known !== undefined) return known;
  const hash = sha256Stream();
  for (const name of source.names) await hashTensor(hash, source, name);
  return hash.digest();
}

/** Adds one tensor to the hash that {@link contentHash} is made of. */
export async function hashTensor(hash: Sha256, source: TensorSource, name: string): Promise<void> {
  const { dtype, shape, size, scale } = source.entry(name);
  const known = [name, dtype, shape, ...(scale === undefined ? [] : [typeof scale === 'number' ? scale : [...scale]])];
  hash.update(`${JSON.stringify(known)}\n`);
  for (const slice of slices(size, SLICE_ELEMENTS)) hash.update(await source.readRaw(name, slice));
}
