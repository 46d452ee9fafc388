import { CheckpointError } from '../errors';
import type { Listing } from './check-table';
import type { ModelComponent } from './model-folder';
import type { ParameterTable } from './parameters';
import { linear, plain } from './parameters';

/**
 * The parameters of a model class with this configuration; undefined when the class is not known.
 * Commands and loaders are handed one, so that this folder needs to know no model.
 * @param listing the checkpoint, for classes whose files may name a parameter in more than one way or hold it twice
 */
export type TableOf = (className: string, config: unknown, listing?: Listing) => ParameterTable | undefined;

/** Classes that belong to no model: the word table of the embedded models, and a test module. */
export const ownTables: TableOf = (className, config) => {
  const size = (key: string) => positiveInteger(className, config, key);
  if (className === 'WordTable') {
    return [plain('embeddings.weight', [size('vocab_size'), size('embedding_dim')])];
  }
  if (className === 'TinyLinear') return linear('linear', size('in_features'), size('out_features'));
  return undefined;
};

/** @throws CheckpointError `config_class` when the class of a component is not known */
export function requireTable(
  tableOf: TableOf,
  { className, config, source, where }: Pick<ModelComponent, 'className' | 'config' | 'source' | 'where'>,
): ParameterTable {
  const table = tableOf(className, config, source);
  if (table) return table;
  throw new CheckpointError('config_class', `${where} names the class ${className}, which ertacache does not know.`, {
    hint: 'Take its tensors as they are (unchecked, --unchecked), without a check of their names and shapes.',
  });
}

function positiveInteger(className: string, config: unknown, key: string): number {
  const value = typeof config === 'object' && config !== null && key in config ? config[key as keyof typeof config] : 0;
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new CheckpointError('config_json', `The config.json of ${className} gives no positive integer ${key}.`, {
    hint: 'Take config.json from the same repository as the weights.',
  });
}
