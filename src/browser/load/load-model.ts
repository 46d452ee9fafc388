import { CheckpointError } from '../../errors';
import { requireText } from '../../io/arguments';
import { httpFolder } from '../../io/http-folder';
import { loadPipeline } from '../../pipelines/from-model';
import type { HubOptions } from '../../pipelines/hub-parts';
import type { Pipeline } from '../../sampling/pipeline';
import { type OpenModel, openModel, readModelJson } from '../../weights/open-model';
import { type ModelFolder, modelFolder } from './model-folder';
import { noStorage, openStorage } from './storage';

/** How a model is loaded from a server into the active backend. */
export interface LoadModelOptions extends HubOptions {
  /** Bytes that are here so far, and in all; 0 in all where that is not known. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** When aborted, loading ends with an InterruptedError. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the browser keeps the files for the next visit; `true` unless given. */
  readonly storage?: boolean | undefined;
}

/** A loaded model, and the words that it knows where its words are a table. */
export interface LoadedParts {
  readonly pipeline: Pipeline;
  readonly vocabulary: readonly string[];
}

/**
 * Loads a model from a server into the active backend of TensorFlow.js, on this thread. `createClient` does the same in
 * a worker, so that the page stays free.
 * @param address of its folder: one that `ertacache convert` wrote, or one in the hub's layout
 * @param options who is told of the progress, and how the model is run
 * @returns the pipeline; dispose it when done
 * @throws IoError where there is no such model, CheckpointError for a damaged one
 * @example
 * await tf.setBackend('wasm');
 * const model = await loadModel('/models/fluent-emoji', { onProgress: (done, total) => console.log(done / total) });
 * const { media } = await draw({ prompt: 'red heart' }, { model });
 */
export async function loadModel(address: string, options: LoadModelOptions = {}): Promise<Pipeline> {
  return (await loadParts(address, options)).pipeline;
}

/** The same, and the words that the model knows. */
export async function loadParts(address: string, options: LoadModelOptions = {}): Promise<LoadedParts> {
  requireText('address', address, "the address of a model's folder");
  const { onProgress, signal, storage: isKept = true, ...hub } = options;
  const whole = new URL(address, globalThis.location?.href).href;
  // Blocks that are read when they are needed stay on the server.
  if (hub.offload) return partsOf(await openModel(httpFolder(whole, { signal })), hub);
  const storage = isKept ? await openStorage() : noStorage;
  const open = (): Promise<ModelFolder> => modelFolder(whole, { storage, signal, onProgress });
  const folder = await open();
  try {
    return await kept(folder, hub);
  } catch (error) {
    if (!(error instanceof CheckpointError) || !folder.isFromStorage) throw error;
    // What the browser kept is damaged: once more, from the server.
    await folder.forget();
    return kept(await open(), hub);
  }
}

async function kept(folder: ModelFolder, hub: HubOptions): Promise<LoadedParts> {
  const parts = await partsOf(await openModel(folder), hub);
  await folder.keep();
  return parts;
}

async function partsOf(model: OpenModel, hub: HubOptions): Promise<LoadedParts> {
  try {
    const vocabulary = await vocabularyOf(model);
    return { pipeline: await loadPipeline(model, hub), vocabulary };
  } finally {
    await model.close();
  }
}

const VOCABULARY = 'text/vocab.json';

async function vocabularyOf(model: OpenModel): Promise<readonly string[]> {
  if (!model.files.includes(VOCABULARY)) return [];
  const words = await readModelJson(model, VOCABULARY);
  // Marks such as <pad> are none that people write.
  return Object.keys(words as object).filter(word => !word.startsWith('<'));
}
