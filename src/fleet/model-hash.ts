import { selectBackend } from '../engine/select';
import { loadModel } from '../pipelines/load';

/** Content hashes of models, by their names: jobs say which version of a model they want. */
export async function hashesOf(
  models: readonly { readonly id: string; readonly path: string }[],
): Promise<Record<string, string>> {
  await selectBackend('cpu');
  const hashes: Record<string, string> = {};
  for (const { id, path } of models) {
    const model = await loadModel(path);
    hashes[id] = model.info.hash;
    model.dispose();
  }
  return hashes;
}
