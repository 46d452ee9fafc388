import { basename, dirname } from 'node:path';
import { IoError } from '../errors';
import { diskFolder } from '../io/disk-folder';
import { isFile, isFolder, openFile } from '../io/node-file';
import { repositoryNear } from './find-repository';
import { type ModelConfig, readConfig } from './model-config';
import { type FolderOptions, type ModelComponent, openModelFolder } from './model-folder';
import { noFiles, type OpenModel, openedModel, openModel, SINGLE } from './open-model';
import type { TensorSource } from './source';
import { refuseStrange } from './strange-files';
import { openSafetensors, openTensors } from './weight-files';

/** How a model on disk is opened. */
export interface OpenAtOptions extends FolderOptions {
  /** The `config.json` of a single safetensors file, when it is not beside it. */
  readonly config?: string | undefined;
}

/**
 * Opens a model on disk: a converted model, a pipeline folder, the folder of one model, or one safetensors file.
 * Headers are read and checked, values are not.
 * @throws CheckpointError or IoError
 */
export async function openModelAt(path: string, options: OpenAtOptions = {}): Promise<OpenModel> {
  if (await isFolder(path)) return openModel(diskFolder(path), { repository: repositoryNear(path), ...options });
  if (await isFile(path)) {
    const components = new Map([[SINGLE, await openModelFileAt(path, options.config)]]);
    return openedModel(path, { kind: 'file', components, ...noFiles(path) }, () => openModelAt(path, options));
  }
  throw new IoError(`${path} does not exist.`, {
    hint: 'Give a model folder, a converted model or a .safetensors file.',
  });
}

/** Opens a folder on disk with a `config.json` and weights. */
export function openModelFolderAt(path: string, options: FolderOptions = {}): Promise<ModelComponent> {
  return openModelFolder(diskFolder(path), options);
}

/** Opens one safetensors file, with the `config.json` beside it or another one. */
export async function openModelFileAt(path: string, configPath?: string): Promise<ModelComponent> {
  // The file first: what is no model has no config.json either, and that would be no help.
  const source = await openSafetensorsAt(path);
  try {
    refuseStrange(source, path);
    const folder = diskFolder(dirname(configPath ?? path));
    const config = await readConfig(folder, configPath === undefined ? 'config.json' : basename(configPath));
    return { ...config, source, where: path };
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
