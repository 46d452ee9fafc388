import { CheckpointError } from '../errors';
import { type Folder, readTextIn } from '../io/folder';
import { isRecord, parsePlainJson } from '../io/plain-json';
import { type ModelConfig, readConfig } from './model-config';
import type { TensorSource } from './source';
import type { FindRepository } from './split-pipeline';
import { openWeights } from './weight-files';

/** One model: what it is, and its tensors under the names that its checkpoint gives them. */
export interface ModelComponent extends ModelConfig {
  /** Its tensors, read when asked for. */
  readonly source: TensorSource;
  /** How errors call it. */
  readonly where: string;
  /** Identity of the weights as they were before any conversion, where it was recorded. */
  readonly contentHash?: string;
}

/** How the folder of a model is opened. */
export interface FolderOptions {
  /**
   * Takes the weights of a variant such as `fp16` (`….fp16.safetensors`), in a pipeline those of the parts that have it;
   * the only one there is by default.
   */
  readonly variant?: string | undefined;
  /** Finds the repository of a text encoder that the model's own folder does not hold. */
  readonly repository?: FindRepository | undefined;
  /** Opens a part of a pipeline from elsewhere; undefined leaves it to its folder. */
  readonly part?: OpenPart | undefined;
}

/**
 * Opens a part of a pipeline.
 * @param name of the part, such as `transformer`
 * @param folder its own folder, which may hold nothing
 * @returns the part; undefined leaves it to its folder
 */
export type OpenPart = (name: string, folder: Folder) => Promise<ModelComponent | undefined>;

/** Opens a folder with a `config.json` and weights, as hub repositories hold one for each component. */
export async function openModelFolder(folder: Folder, options: FolderOptions = {}): Promise<ModelComponent> {
  const config = await readConfig(folder);
  return { ...config, source: await openWeights(folder, options), where: folder.name };
}

/** True for a folder that holds the word table of an embedded model. */
export function isWordTable(folder: Folder): Promise<boolean> {
  return folder.has('vocab.json');
}

/** Opens the text side of an embedded model: `vocab.json` and a table with one row for each word. */
export async function openWordTable(folder: Folder, options: FolderOptions = {}): Promise<ModelComponent> {
  const path = folder.pathTo('vocab.json');
  let vocabulary: unknown;
  try {
    vocabulary = parsePlainJson(await readTextIn(folder, 'vocab.json'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (!isRecord(vocabulary)) {
    throw new CheckpointError('config_json', `${path} is not a JSON object of words and their numbers.`, {
      hint: 'Take it from the model again.',
    });
  }
  const source = await openWeights(folder, { ...options, stems: ['embeddings'] });
  const width = source.has('embeddings.weight') ? source.entry('embeddings.weight').shape[1] : undefined;
  const config = { _class_name: 'WordTable', vocab_size: Object.keys(vocabulary).length, embedding_dim: width ?? 1 };
  return { className: 'WordTable', config, source, where: folder.name };
}
