import { basename, dirname, join } from 'node:path';
import { IoError } from '../errors';
import { diskFolder } from '../io/disk-folder';
import { isFile, isFolder, openFile, refuseDeadLink } from '../io/node-file';
import { repositoryNear } from './find-repository';
import { type ModelConfig, readConfig } from './model-config';
import { type FolderOptions, type ModelComponent, openModelFolder } from './model-folder';
import { noFiles, type OpenModel, openedModel, openModel, SINGLE } from './open-model';
import type { TensorSource } from './source';
import { refuseStrange } from './strange-files';
import { openSafetensors, openTensors } from './weight-files';

/** How a model on disk is opened. */
export interface OpenAtOptions extends FolderOptions {
  /** The `config.json` of a single file, when it is not beside it. */
  readonly config?: string | undefined;
  /** Tells the configuration of a single file that has none beside it. Handed in, so that this folder knows no model. */
  readonly recognise?: ((source: TensorSource, where: string) => ModelConfig) | undefined;
}

/**
 * Opens a model on disk: a converted model, a pipeline folder, the folder of one model, or one safetensors or GGUF file.
 * Headers are read and checked, values are not.
 * @throws CheckpointError or IoError
 */
export async function openModelAt(path: string, options: OpenAtOptions = {}): Promise<OpenModel> {
  if (await isFolder(path)) return openModel(diskFolder(path), { repository: repositoryNear(path), ...options });
  if (await isFile(path)) {
    const components = new Map([[SINGLE, await openModelFileAt(path, options)]]);
    return openedModel(path, { kind: 'file', components, ...noFiles(path) }, () => openModelAt(path, options));
  }
  await refuseDeadLink(path);
  throw new IoError(`${path} does not exist.`, {
    hint: 'Give a model folder, a converted model, or a .safetensors or .gguf file.',
  });
}

/** Opens a folder on disk with a `config.json` and weights. */
export function openModelFolderAt(path: string, options: FolderOptions = {}): Promise<ModelComponent> {
  return openModelFolder(diskFolder(path), options);
}

/** Opens one file, with the `config.json` beside it or another one. */
export async function openModelFileAt(
  path: string,
  { config, recognise }: OpenAtOptions = {},
): Promise<ModelComponent> {
  // The file first: what is no model has no config.json either, and that would be no help.
  const source = await openTensorsAt(path);
  try {
    refuseStrange(source, path);
    const beside = config ?? join(dirname(path), 'config.json');
    const known = recognise && config === undefined && !(await isFile(beside));
    return { ...(known ? recognise(source, path) : await readConfigAt(beside)), source, where: path };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Opens one file on disk, GGUF or safetensors. */
export async function openTensorsAt(path: string): Promise<TensorSource> {
  return openTensors(await openFile(path));
}

/** Reads a `config.json` on disk, whatever it is called. */
export function readConfigAt(path: string): Promise<ModelConfig> {
  return readConfig(diskFolder(dirname(path)), basename(path));
}

/** Opens one safetensors file on disk. */
export async function openSafetensorsAt(path: string): Promise<TensorSource> {
  return openSafetensors(await openFile(path));
}
