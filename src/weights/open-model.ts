import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError, IoError } from '../errors';
import { ioError, isFile, isFolder } from '../io/node-file';
import { parsePlainJson } from '../io/plain-json';
import { isArtefact, openArtefact } from './artefact';
import { findAttachments } from './attachments';
import type { TargetType } from './manifest';
import { type FolderOptions, type ModelComponent, openModelFile, openModelFolder } from './model-folder';
import { isPipelineFolder, openPipeline } from './pipeline-folder';

/** The name under which the only component of a single model goes. */
export const SINGLE = 'model';

/** A model on disk, of whatever kind: what it is made of, and its small files. */
export interface OpenModel {
  readonly path: string;
  readonly kind: 'file' | 'component' | 'pipeline' | 'converted';
  /** The class in `model_index.json`, where there is one. */
  readonly pipeline?: string;
  /** How a converted model stores its values. */
  readonly converted?: TargetType;
  /** By folder name (`transformer`, `text`, …); a single model has one component, {@link SINGLE}. */
  readonly components: ReadonlyMap<string, ModelComponent>;
  /** Relative paths of the tokenizer, scheduler and pipeline files. */
  readonly files: readonly string[];
  /** One of `files`. */
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

export interface OpenOptions extends FolderOptions {
  /** The `config.json` of a single safetensors file, when it is not beside it. */
  readonly config?: string;
}

/**
 * Opens a converted model, a pipeline folder, the folder of one model, or one safetensors file. Headers are read and
 * checked, values are not.
 * @throws CheckpointError or IoError
 */
export async function openModel(path: string, options: OpenOptions = {}): Promise<OpenModel> {
  const opened = await open(path, options);
  return { path, ...opened, close: () => closeAll(opened.components) };
}

async function open(path: string, options: OpenOptions): Promise<Omit<OpenModel, 'path' | 'close'>> {
  if (await isFile(path)) {
    const components = new Map([[SINGLE, await openModelFile(path, options.config)]]);
    return { kind: 'file', components, ...noFiles(path) };
  }
  if (!(await isFolder(path))) {
    throw new IoError(`${path} does not exist.`, {
      hint: 'Give a model folder, a converted model or a .safetensors file.',
    });
  }
  if (await isArtefact(path)) {
    const { manifest, components, readFile } = await openArtefact(path);
    const files = manifest.files.map(file => file.path);
    return { kind: 'converted', pipeline: manifest.pipeline, converted: manifest.dtype, components, files, readFile };
  }
  if (await isPipelineFolder(path)) {
    const { className, components } = await openPipeline(path, options);
    const files = await findAttachments(path);
    const readOne = async (file: string) => {
      if (!files.includes(file)) throw noSuchFile(path, file);
      const full = join(path, file);
      const bytes = await readFile(full).catch(error => {
        throw ioError(full, error);
      });
      return Uint8Array.from(bytes);
    };
    return { kind: 'pipeline', pipeline: className, components, files, readFile: readOne };
  }
  return {
    kind: 'component',
    components: new Map([[SINGLE, await openModelFolder(path, options)]]),
    ...noFiles(path),
  };
}

/**
 * The component of this name; a model of a single component is taken under any name.
 * @throws CheckpointError `missing_config`
 */
export function componentOf(model: OpenModel, name: string): ModelComponent {
  const found = model.components.get(name) ?? model.components.get(SINGLE);
  if (found) return found;
  throw new CheckpointError('missing_config', `${model.path} holds no ${name}.`, {
    hint: `It holds ${[...model.components.keys()].join(', ')}.`,
  });
}

/** One of a model's JSON files. @throws CheckpointError when it is not there or not JSON */
export async function readModelJson(model: OpenModel, path: string): Promise<unknown> {
  const bytes = await model.readFile(path);
  try {
    return parsePlainJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const message = `${join(model.path, path)} is not valid JSON.`;
    throw new CheckpointError('config_json', message, { hint: 'Take it from the model again.', cause: error });
  }
}

function noFiles(path: string): Pick<OpenModel, 'files' | 'readFile'> {
  return { files: [], readFile: async file => Promise.reject(noSuchFile(path, file)) };
}

function noSuchFile(path: string, file: string): CheckpointError {
  return new CheckpointError('missing_config', `${path} holds no ${file}.`, {
    hint: 'Take the whole model folder, its tokenizer and scheduler included.',
  });
}

async function closeAll(components: ReadonlyMap<string, ModelComponent>): Promise<void> {
  await Promise.all([...components.values()].map(component => component.source.close()));
}
