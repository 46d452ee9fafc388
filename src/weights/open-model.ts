import { CheckpointError } from '../errors';
import { type Folder, fileIn, readBytesIn } from '../io/folder';
import { parsePlainJson } from '../io/plain-json';
import { isArtefact, openArtefact } from './artefact';
import { findAttachments } from './attachments';
import type { TargetType } from './manifest';
import { type FolderOptions, type ModelComponent, openModelFolder } from './model-folder';
import { isPipelineFolder, openPipeline } from './pipeline-folder';
import { SPLIT_PIPELINES, textRepository } from './split-names';
import { splitPipeline } from './split-pipeline';
import { refuseStrangeFolder } from './strange-files';

/** The name under which the only component of a single model goes. */
export const SINGLE = 'model';

/** An opened model, of whatever kind: what it is made of, and its small files. */
export interface OpenModel {
  /** How errors call it; the last part is its short name. */
  readonly path: string;
  /**
   * One weight file, the folder of one model, a pipeline folder of the hub, or a model that `ertacache convert` made.
   */
  readonly kind: 'file' | 'component' | 'pipeline' | 'converted';
  /** The class in `model_index.json`, where there is one. */
  readonly pipeline?: string | undefined;
  /** How a converted model stores its values. */
  readonly converted?: TargetType;
  /** By folder name (`transformer`, `text`, …); a single model has one component, `model`. */
  readonly components: ReadonlyMap<string, ModelComponent>;
  /** Relative paths of the tokenizer, scheduler and pipeline files. */
  readonly files: readonly string[];
  /**
   * The content of one of `files`.
   * @param path relative path, as in `files`
   * @returns its bytes
   * @throws IoError when it cannot be read
   */
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Opens the model once more, from the same place; what is opened here may be closed before.
   * @returns another opened model; its caller closes it
   */
  reopen(): Promise<OpenModel>;
  /** Closes its files; nothing can be read from it any more. */
  close(): Promise<void>;
}

/** What tells one kind of model from another. */
export type OpenedParts = Omit<OpenModel, 'path' | 'reopen' | 'close'>;

/**
 * Opens a converted model, a pipeline folder, or the folder of one model, wherever it lies. Headers are read and
 * checked, values are not.
 * @param folder the model's files: `memoryFolder`, `httpFolder`, or a folder of your own
 * @param options which variant of the weights to take
 * @returns the model; its caller closes it
 * @throws CheckpointError for a damaged or incomplete model
 * @throws IoError when a file cannot be read
 * @example
 * const model = await openModel(httpFolder('https://example.org/models/fluent-emoji'));
 */
export async function openModel(folder: Folder, options: FolderOptions = {}): Promise<OpenModel> {
  return openedModel(folder.name, await open(folder, options), () => openModel(folder, options));
}

/** An opened model of its parts. @param reopen opens it again */
export function openedModel(path: string, parts: OpenedParts, reopen: OpenModel['reopen']): OpenModel {
  return { path, ...parts, reopen, close: () => closeAll(parts.components) };
}

async function open(folder: Folder, options: FolderOptions): Promise<OpenedParts> {
  if (await isArtefact(folder)) {
    const { manifest, components, readFile } = await openArtefact(folder);
    const files = manifest.files.map(file => file.path);
    return { kind: 'converted', pipeline: manifest.pipeline, converted: manifest.dtype, components, files, readFile };
  }
  const whole = (await splitPipeline(folder, options.repository)) ?? folder;
  if (await isPipelineFolder(whole)) {
    const { className, components } = await openPipeline(whole, options);
    const files = await findAttachments(whole);
    const readFile = async (file: string) => {
      if (files.includes(file)) return readBytesIn(whole, file);
      throw noSuchFile(folder.name, file);
    };
    return { kind: 'pipeline', pipeline: className, components, files, readFile };
  }
  if (!(await folder.has('config.json'))) await refuseStrangeFolder(folder);
  return {
    kind: 'component',
    components: new Map([[SINGLE, await openModelFolder(folder, options)]]),
    ...noFiles(folder.name),
  };
}

/**
 * The component of this name; a model of a single component is taken under any name.
 * @throws CheckpointError `missing_config`
 */
export function componentOf(model: OpenModel, name: string): ModelComponent {
  const found = model.components.get(name) ?? model.components.get(SINGLE);
  if (found) return found;
  const elsewhere = name === 'text_encoder' ? textRepositoryOf(model) : undefined;
  throw new CheckpointError('missing_config', `${model.path} holds no ${name}.`, {
    hint: elsewhere
      ? `It is another repository's: ertacache download ${elsewhere} --out ${fileIn(model.path, elsewhere)}`
      : `It holds ${[...model.components.keys()].join(', ')}.`,
  });
}

/** The repository of the text encoder, for models that are published without it. */
function textRepositoryOf({ components }: OpenModel): string | undefined {
  const transformer = components.get('transformer');
  const split = SPLIT_PIPELINES.get(transformer?.className ?? '');
  return transformer && split && textRepository(split, transformer.config, transformer.where);
}

/** One of a model's JSON files. @throws CheckpointError when it is not there or not JSON */
export async function readModelJson(model: OpenModel, path: string): Promise<unknown> {
  const bytes = await model.readFile(path);
  try {
    return parsePlainJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const message = `${fileIn(model.path, path)} is not valid JSON.`;
    throw new CheckpointError('config_json', message, { hint: 'Take it from the model again.', cause: error });
  }
}

/** The files of a model that has none. */
export function noFiles(path: string): Pick<OpenModel, 'files' | 'readFile'> {
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
