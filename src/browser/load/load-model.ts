import { CheckpointError } from '../../errors';
import { requireText } from '../../io/arguments';
import type { Folder } from '../../io/folder';
import { httpFolder } from '../../io/http-folder';
import { loadPipeline } from '../../pipelines/from-model';
import type { HubOptions } from '../../pipelines/hub-parts';
import type { Pipeline } from '../../sampling/pipeline';
import { type OpenModel, openModel, readModelJson } from '../../weights/open-model';
import { type FolderOptions, type ModelFolder, modelFolder } from './model-folder';
import { noStorage, openStorage } from './storage';

/** How a model is loaded from a server into the active backend. */
export interface LoadModelOptions extends HubOptions {
  /** Bytes that are here so far, and in all; 0 in all where that is not known. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /**
   * When aborted, loading ends with an InterruptedError. It does not stop what is read later: parts of a model in the hub's
   * layout come with the first picture, and blocks with `offload` at every step.
   */
  readonly signal?: AbortSignal | undefined;
  /** Whether the browser keeps the files for the next visit; `true` unless given. */
  readonly storage?: boolean | undefined;
}

/** A loaded model. */
export interface LoadedParts {
  readonly pipeline: Pipeline;
  /** The words that it knows, where its words are a table. */
  readonly vocabulary: readonly string[];
  /** Loads it once more, into the backend that is active then. */
  readonly reload: () => Promise<Pipeline>;
}

/** For those who choose a backend by the model. */
export interface PartsOptions extends LoadModelOptions {
  /** Awaited before the first weights are read. @param bytes size of the model; infinite where that is not known */
  readonly before?: ((bytes: number) => Promise<void>) | undefined;
  /** Asked, once the model is loaded, for the signal that stops what is read then. */
  readonly later?: (() => AbortSignal | undefined) | undefined;
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

/** The same, and what else there is to know of the model. */
export async function loadParts(address: string, options: PartsOptions = {}): Promise<LoadedParts> {
  requireText('address', address, "the address of a model's folder");
  const { signal, later, ...rest } = options;
  let isLoading = true;
  try {
    return await partsFrom(address, { ...rest, signal: () => (isLoading ? signal : later?.()) });
  } finally {
    isLoading = false;
  }
}

type FromOptions = Omit<PartsOptions, 'signal' | 'later'> & Pick<FolderOptions, 'signal'>;

async function partsFrom(address: string, options: FromOptions): Promise<LoadedParts> {
  const { onProgress, signal, storage: isKept = true, before = async () => {}, ...hub } = options;
  const whole = new URL(address, globalThis.location?.href).href;
  if (hub.offload) {
    // Blocks that are read when they are needed stay on the server.
    await before(Number.POSITIVE_INFINITY);
    return partsOf(httpFolder(whole, { signal }), hub);
  }
  const storage = isKept ? await openStorage() : noStorage;
  const open = (): Promise<ModelFolder> => modelFolder(whole, { storage, signal, onProgress });
  const folder = await open();
  await before(folder.bytes);
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
  const parts = await partsOf(folder, hub);
  await folder.keep();
  return parts;
}

async function partsOf(folder: Folder, hub: HubOptions): Promise<LoadedParts> {
  return opened(folder, async model => ({
    vocabulary: await vocabularyOf(model),
    pipeline: await loadPipeline(model, hub),
    reload: () => opened(folder, again => loadPipeline(again, hub)),
  }));
}

async function opened<T>(folder: Folder, work: (model: OpenModel) => Promise<T>): Promise<T> {
  const model = await openModel(folder);
  try {
    return await work(model);
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
