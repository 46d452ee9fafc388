import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { IoError } from '../errors';
import { requireObject, requireText } from '../io/arguments';
import { packageRoot } from '../io/package-root';
import { resized } from '../media/resize';
import { requireComputeType } from '../nn/bfloat16';
import type { Pipeline } from '../sampling/pipeline';
import { cachedRepository, hubCache, snapshotIn } from '../weights/download/hub-home';
import type { LoraFile } from '../weights/lora/adapter';
import { type LoraPath, loraAt } from '../weights/lora/on-disk';
import { DEFAULT_MODEL } from './default-model';
import { loadPipeline } from './from-model';
import type { HubOptions } from './hub-parts';
import { modelName } from './model-name';
import { openNamed } from './open';
import type { TransformerFile } from './transformer-file';

/** The folder of a model that ships with the package, by its name. */
export function shippedModel(name: string): string | undefined {
  const folder = join(packageRoot(), 'converted-models', name);
  return /^[\w.-]+$/.test(name) && existsSync(folder) ? folder : undefined;
}

/** Names of the models that ship with the package, the default one first. */
export function shippedModelNames(): string[] {
  const names = readdirSync(join(packageRoot(), 'converted-models')).filter(name => shippedModel(name));
  return [DEFAULT_MODEL, ...names.filter(name => name !== DEFAULT_MODEL).sort()];
}

/**
 * The folder of a model that is found by name or path; undefined where there is none: one that ships with the package,
 * or a repository that the hub's tools have downloaded, by `owner/name` or by its folder in their cache.
 */
export function foundModel(nameOrPath: string): string | undefined {
  if (existsSync(nameOrPath)) return snapshotIn(resolve(nameOrPath)) ?? resolve(nameOrPath);
  return shippedModel(nameOrPath) ?? cachedRepository(nameOrPath);
}

/**
 * What a model is called in a file that goes to strangers: by what it is found on any machine that has it, a model that
 * ships with the package or a repository, else the name of its folder.
 * @param nameOrPath as it was given
 */
export function publicModelName(nameOrPath: string): string {
  const path = locateModel(nameOrPath);
  const [, owner, name] = /models--([^\\/]+?)--([^\\/]+)[\\/]snapshots[\\/][^\\/]+$/.exec(path) ?? [];
  if (owner !== undefined) return `${owner}/${name}`;
  return shippedModel(nameOrPath) === path ? nameOrPath : modelName(path);
}

/** The same. @throws IoError where there is none */
export function locateModel(nameOrPath: string): string {
  const found = foundModel(nameOrPath);
  if (found !== undefined) return found;
  const isRepository = /^[\w.-]+\/[\w.-]+$/.test(nameOrPath);
  throw new IoError(`There is no model "${nameOrPath}"${isRepository ? `, also not in ${hubCache()}` : ''}.`, {
    hint: isRepository
      ? `Bring it from the hub with \`ertacache download ${nameOrPath}\`, and give the folder that it is written to.`
      : `Give the folder of a model, or one that ships with ertacache: ${shippedModelNames().join(', ')}.`,
  });
}

/** How a model on disk is opened, loaded and run. */
export interface LoadModelOptions extends Omit<HubOptions, 'loras'> {
  /** LoRAs that are merged into a transformer's weights as they are read, one after the other. */
  readonly loras?: readonly (LoraPath | LoraFile)[] | undefined;
  /** Takes the weight files of a variant such as `fp16`, of folders in the hub's layout. */
  readonly variant?: string | undefined;
  /** A file, GGUF or safetensors, that is the transformer of a folder in the hub's layout. */
  readonly transformer?: TransformerFile | undefined;
  /** The same for the second transformer of a pipeline that has two. */
  readonly transformer2?: TransformerFile | undefined;
}

/**
 * Loads a model folder on disk (converted, or as on the hub) into the active backend.
 * @param nameOrPath a folder, or the name of a model that ships with the package; `fluent-emoji` by default
 * @param options `dtype` and `resize` for every model, the others for folders in the hub's layout
 * @returns the pipeline; dispose it when done
 * @throws IoError when there is no such model
 * @throws CheckpointError for a damaged model
 * @throws UnsupportedError for one that is not a whole pipeline, or `bfloat16` on another backend than the native one
 * @example
 * const model = await loadModel('./FLUX.1-dev', { offload: true });
 */
export async function loadModel(nameOrPath: string = DEFAULT_MODEL, options: LoadModelOptions = {}): Promise<Pipeline> {
  requireText(
    'nameOrPath',
    nameOrPath,
    "a model's folder or the name of a model",
    `The embedded one is ${DEFAULT_MODEL}.`,
  );
  requireObject('options', options, 'an object');
  requireComputeType(options.dtype);
  const { variant, transformer, transformer2, loras: given = [], ...hub } = options;
  const loras = await Promise.all(given.map(lora => ('path' in lora ? loraAt(lora) : lora)));
  const model = await openNamed(locateModel(nameOrPath), { variant, transformer, transformer2 });
  try {
    return await loadPipeline(model, { ...hub, loras, resize: hub.resize ?? resized });
  } finally {
    await model.close();
  }
}
