import { CheckpointError } from '../errors';
import { type Folder, readTextIn } from '../io/folder';
import { isRecord, parsePlainJson } from '../io/plain-json';

/** What a model says of itself: its class, and the settings of that class. */
export interface ModelConfig {
  /** `_class_name` as diffusers writes it, or the first of `architectures` as transformers does. */
  readonly className: string;
  /** The whole `config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
}

const FROM_HUB = 'Take config.json from the repository that the weights are from.';

/** @throws CheckpointError `missing_config`, `config_json` or `config_class` */
export async function readConfig(folder: Folder, file = 'config.json'): Promise<ModelConfig> {
  const path = folder.pathTo(file);
  if (await folder.has(file)) return parseConfigJson(await readTextIn(folder, file), path);
  throw new CheckpointError('missing_config', `There is no ${path}.`, { hint: FROM_HUB });
}

/** @param file its name, for errors */
export function parseConfigJson(text: string, file: string): ModelConfig {
  let config: unknown;
  try {
    config = parsePlainJson(text);
  } catch (error) {
    throw new CheckpointError('config_json', `${file} is not valid JSON.`, { hint: FROM_HUB, cause: error });
  }
  if (!isRecord(config)) throw new CheckpointError('config_json', `${file} is not an object.`, { hint: FROM_HUB });
  const architectures: unknown = config.architectures;
  const className = config._class_name ?? (Array.isArray(architectures) ? (architectures[0] as unknown) : undefined);
  if (typeof className === 'string' && className !== '') return { className, config };
  throw new CheckpointError('config_class', `${file} names no model class (_class_name or architectures).`, {
    hint: FROM_HUB,
  });
}
