import { CheckpointError } from '../errors';
import { type Folder, readTextIn, within } from '../io/folder';
import { isRecord, parsePlainJson } from '../io/plain-json';
import { type FolderOptions, isWordTable, type ModelComponent, openModelFolder, openWordTable } from './model-folder';
import { hasWeights } from './weight-files';

const INDEX = 'model_index.json';

export interface Pipeline {
  /** The class that `model_index.json` names; absent in embedded models. */
  readonly className?: string | undefined;
  /** Models by the name of their folder. */
  readonly components: ReadonlyMap<string, ModelComponent>;
}

/** True for a folder that holds several models: `model_index.json` as on the hub, or an embedded model's `pipeline.json`. */
export async function isPipelineFolder(folder: Folder): Promise<boolean> {
  return (await folder.has(INDEX)) || folder.has('pipeline.json');
}

/**
 * Opens every model of a pipeline folder. A variant of the weights is taken where a part has it, as in diffusers.
 * @throws CheckpointError `missing_weights` for a variant that no part has
 */
export async function openPipeline(folder: Folder, options: FolderOptions = {}): Promise<Pipeline> {
  const { className, names } = (await folder.has(INDEX)) ? await readIndex(folder) : await findModels(folder);
  const plain = await partsWithout(folder, names, options.variant);
  const components = new Map<string, ModelComponent>();
  try {
    for (const name of names) {
      const part = within(folder, name);
      const own = plain.has(name) ? { ...options, variant: undefined } : options;
      components.set(name, (await options.part?.(name, part)) ?? (await openPart(part, own)));
    }
  } catch (error) {
    await Promise.all([...components.values()].map(component => component.source.close()));
    throw error;
  }
  return { className, components };
}

/** The parts without a variant that another part has. */
async function partsWithout(folder: Folder, names: readonly string[], variant?: string): Promise<ReadonlySet<string>> {
  const lacking = new Set<string>();
  if (variant === undefined) return lacking;
  for (const name of names) {
    if (!(await hasWeights(within(folder, name), { variant }))) lacking.add(name);
  }
  return lacking.size < names.length ? lacking : new Set();
}

async function openPart(folder: Folder, options: FolderOptions): Promise<ModelComponent> {
  const isTable = !(await folder.has('config.json')) && (await isWordTable(folder));
  return (isTable ? openWordTable : openModelFolder)(folder, options);
}

/** Entries of model_index.json that have no weights. */
const WEIGHTLESS = /^(tokenizer|scheduler|feature_extractor|image_processor|video_processor)/;

interface Listing {
  readonly className?: string | undefined;
  readonly names: readonly string[];
}

async function readIndex(folder: Folder): Promise<Listing> {
  const path = folder.pathTo(INDEX);
  let index: unknown;
  try {
    index = parsePlainJson(await readTextIn(folder, INDEX));
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

/** Models of an embedded pipeline, for places that do not list their folders. */
const EMBEDDED = ['text', 'transformer'];

async function findModels(folder: Folder): Promise<Listing> {
  const listed = (await folder.list?.())?.flatMap(path => /^([^/]+)\/[^/]+$/.exec(path)?.[1] ?? []);
  const names: string[] = [];
  for (const name of [...new Set(listed ?? EMBEDDED)].sort()) {
    const part = within(folder, name);
    if ((await part.has('config.json')) || (await isWordTable(part))) names.push(name);
  }
  if (names.length > 0) return { names };
  throw new CheckpointError('missing_config', `${folder.name} has a pipeline.json but no folder with a config.json.`, {
    hint: 'Copy the whole model, its transformer folder included.',
  });
}
