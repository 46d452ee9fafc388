import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../errors';
import { isFile, readText } from '../io/node-file';
import { isRecord, parsePlainJson } from '../io/plain-json';
import { type FolderOptions, isWordTable, type ModelComponent, openModelFolder, openWordTable } from './model-folder';

export interface Pipeline {
  /** The class that `model_index.json` names; absent in embedded models. */
  readonly className?: string;
  /** Models by the name of their folder. */
  readonly components: ReadonlyMap<string, ModelComponent>;
}

/** True for a folder that holds several models: `model_index.json` as on the hub, or an embedded model's `pipeline.json`. */
export async function isPipelineFolder(folder: string): Promise<boolean> {
  return (await isFile(join(folder, 'model_index.json'))) || isFile(join(folder, 'pipeline.json'));
}

/** Opens every model of a pipeline folder. */
export async function openPipeline(folder: string, options: FolderOptions = {}): Promise<Pipeline> {
  const index = join(folder, 'model_index.json');
  const { className, names } = (await isFile(index)) ? await readIndex(index) : await listFolder(folder);
  const components = new Map<string, ModelComponent>();
  try {
    for (const name of names) {
      const path = join(folder, name);
      const isTable = !(await isFile(join(path, 'config.json'))) && (await isWordTable(path));
      components.set(name, await (isTable ? openWordTable : openModelFolder)(path, options));
    }
  } catch (error) {
    await Promise.all([...components.values()].map(component => component.source.close()));
    throw error;
  }
  return { className, components };
}

/** Entries of model_index.json that have no weights. */
const WEIGHTLESS = /^(tokenizer|scheduler|feature_extractor|image_processor|video_processor)/;

async function readIndex(path: string): Promise<{ className?: string; names: string[] }> {
  let index: unknown;
  try {
    index = parsePlainJson(await readText(path));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (!isRecord(index)) {
    throw new CheckpointError('config_json', `${path} is not a JSON object.`, { hint: 'Download it again.' });
  }
  const names = Object.entries(index)
    .filter(([name, value]) => Array.isArray(value) && value[1] !== null && !WEIGHTLESS.test(name))
    .map(([name]) => name);
  const unsafe = names.find(name => !/^\w+$/.test(name));
  if (unsafe !== undefined) {
    throw new CheckpointError('unsafe_path', `${path} names the folder "${unsafe}", which is not in its own folder.`, {
      hint: 'ertacache reads nothing outside the model folder.',
    });
  }
  return { className: typeof index._class_name === 'string' ? index._class_name : undefined, names };
}

async function listFolder(folder: string): Promise<{ className?: string; names: string[] }> {
  const names: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const path = join(folder, name);
    if ((await isFile(join(path, 'config.json'))) || (await isWordTable(path))) names.push(name);
  }
  if (names.length > 0) return { names };
  throw new CheckpointError('missing_config', `${folder} has a pipeline.json but no folder with a config.json.`, {
    hint: 'Copy the whole model, its transformer folder included.',
  });
}
