import { openFile } from '../io/node-file';
import { safetensorsSource } from '../weights/safetensors-source';
import type { NamedWeights } from './alexnet';

const WANTED = /^(features|lin\d)\./;

/** Reads what LPIPS needs from a safetensors file; a classifier that AlexNet may carry along is left on disk. */
export async function readLpipsWeights(path: string): Promise<NamedWeights> {
  const source = await safetensorsSource(await openFile(path));
  try {
    const weights = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const name of source.names.filter(name => WANTED.test(name))) {
      weights.set(name, { shape: source.entry(name).shape, data: await source.read(name) });
    }
    return weights;
  } finally {
    await source.close();
  }
}
