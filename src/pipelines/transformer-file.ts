/**
 * A transformer in a file of its own, GGUF or safetensors, beside the folder of its pipeline: the way most people have
 * one. A file that holds the whole pipeline also brings the parts whose weights the folder lacks.
 */
import { dirname } from 'node:path';
import { UsageError } from '../errors';
import { fileHash } from '../io/file-hash';
import type { Folder } from '../io/folder';
import { recognise } from '../models/recognise';
import { openTensorsAt } from '../weights/disk';
import { readConfig } from '../weights/model-config';
import type { ModelComponent, OpenPart } from '../weights/model-folder';
import { underPrefix } from '../weights/prefixes';
import type { TensorSource } from '../weights/source';
import { refuseStrange } from '../weights/strange-files';
import { hasWeights } from '../weights/weight-files';

/** The file of a transformer. */
export interface TransformerFile {
  /** GGUF or safetensors. */
  readonly path: string;
  /** SHA-256 of its bytes, where it must be that very file. */
  readonly sha256?: string | undefined;
}

/** Where ComfyUI keeps the other parts of a pipeline in one file, by their classes. */
const PREFIXES: Readonly<Record<string, string>> = {
  AutoencoderKL: 'vae.',
  AutoencoderKLWan: 'vae.',
  CLIPTextModel: 'text_encoders.clip_l.transformer.',
  T5EncoderModel: 'text_encoders.t5xxl.transformer.',
  UMT5EncoderModel: 'text_encoders.umt5xxl.transformer.',
};

/** The files of a pipeline's transformers. */
export interface TransformerFiles {
  readonly transformer?: TransformerFile | undefined;
  /** Of a pipeline that has two. */
  readonly transformer2?: TransformerFile | undefined;
}

/**
 * The parts of a pipeline that files of transformers take the place of. A file is read once more, to know it by its
 * hash, unless that is given.
 */
export async function partsOfFiles(
  { transformer, transformer2 }: TransformerFiles,
  variant?: string,
): Promise<OpenPart> {
  const known = async (file: TransformerFile | undefined) =>
    file && { path: file.path, contentHash: file.sha256 ?? (await fileHash(file.path)) };
  const files: Readonly<Record<string, Awaited<ReturnType<typeof known>>>> = {
    transformer: await known(transformer),
    transformer_2: await known(transformer2),
  };
  return async (name, folder) => {
    const own = files[name];
    if (own) return { ...(await openTransformer(own.path, folder)), contentHash: own.contentHash };
    // The other transformer is never in the same file.
    if (!transformer || name in files) return undefined;
    // Parts that lack the variant are read without.
    if ((await hasWeights(folder, { variant })) || (await hasWeights(folder))) return undefined;
    return openOther(transformer.path, folder);
  };
}

async function openTransformer(path: string, folder: Folder): Promise<ModelComponent> {
  return opened(path, async source => {
    refuseStrange(source, path);
    const usual = (await folder.has('config.json')) ? await readConfig(folder) : undefined;
    return { ...recognise(source, path, usual, dirname(folder.name)), source, where: path };
  });
}

/** A part that the folder describes and has no weights for; undefined where the file has none either. */
async function openOther(path: string, folder: Folder): Promise<ModelComponent | undefined> {
  if (!(await folder.has('config.json'))) return undefined;
  const config = await readConfig(folder);
  const prefix = PREFIXES[config.className];
  if (prefix === undefined) return undefined;
  return opened(path, async whole => {
    const source = underPrefix(whole, prefix);
    if (source.names.length > 0) return { ...config, source, where: path };
    await whole.close();
    return undefined;
  });
}

async function opened<T>(path: string, work: (source: TensorSource) => Promise<T>): Promise<T> {
  const source = await openTensorsAt(path);
  try {
    return await work(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Refuses the file of a second transformer beside a pipeline that has one. */
export function noSecondIn(model: string): UsageError {
  return new UsageError(`${model} has one transformer, and a file for a second one is given.`, {
    hint: 'Give the file by --transformer (transformer), or the folder of a model with transformer_2.',
  });
}

/** Refuses a transformer's file beside what is no pipeline folder. */
export function noPlaceFor(model: string): UsageError {
  return new UsageError(`${model} is no pipeline folder in which a file could be the transformer.`, {
    hint: 'Give the folder with the model_index.json of its pipeline, the weights of its transformer left out or not.',
  });
}
