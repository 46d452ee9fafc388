import { CheckpointError, ErtaError } from '../errors';
import { checkTable } from '../weights/check-table';
import type { ModelConfig } from '../weights/model-config';
import { unwrapped } from '../weights/prefixes';
import type { TensorSource } from '../weights/source';
import { families } from './families';
import type { Family } from './family';
import { withKnownNames } from './known-names';
import { knownTables } from './known-tables';

/**
 * The configuration of a transformer whose file brings none: the one of those at hand that its names and shapes fit.
 * @param where how errors call the file
 * @param usual what is tried before the published models, and what errors compare with
 * @param pipeline how errors call the pipeline that `usual` is of
 * @returns the configuration; `usual` where none fits, so that loading says what does not
 * @throws CheckpointError for a file that holds no transformer, one of another family than `usual`, or one of no
 * published size
 */
export function recognise(
  source: TensorSource,
  where: string,
  usual?: ModelConfig,
  pipeline = 'the model',
): ModelConfig {
  const family = familyOfNames(unwrapped(source));
  if (!family) {
    const kind = where.toLowerCase().endsWith('.gguf') ? 'is a GGUF file that' : 'is a file that';
    throw new CheckpointError('config_class', `${where} ${kind} holds no transformer that ertacache runs.`, {
      hint: `It runs ${families.map(({ title }) => title).join(', ')}; for other classes, put their config.json beside it.`,
    });
  }
  const other = usual && !isOfFamily(usual, family) && families.find(each => isOfFamily(usual, each));
  if (other) {
    const message = `${where} holds a transformer of ${family.title}, and ${pipeline} is a pipeline of ${other.title}.`;
    throw new CheckpointError('config_class', message, { hint: `Name a pipeline of ${family.title} as the model.` });
  }
  const published = family.presets.map(({ transformer }) => ({ className: family.className, config: transformer }));
  const isUsual = usual !== undefined && isOfFamily(usual, family);
  const fitting = [...(isUsual ? [usual] : []), ...published].find(config => fits(config, source, where));
  if (fitting) return fitting;
  if (isUsual) return usual;
  const sizes = family.presets.map(({ title }) => title).join(', ');
  const message = `${where} holds a ${family.title} transformer whose shapes are those of no published model.`;
  throw new CheckpointError('missing_config', message, {
    hint: `Put its config.json beside it, or name that with --config. Known without one: ${sizes || 'none'}.`,
  });
}

function isOfFamily(config: ModelConfig, { className, configOf }: Family): boolean {
  return config.className === className || configOf?.(config) !== undefined;
}

/** The family whose names the tensors have, in the authors' layout or in that of diffusers. */
function familyOfNames(source: TensorSource): Family | undefined {
  const own = families.find(
    ({ keys }) => keys !== undefined && source.has(keys.marker) && hasBlocks(source, keys.groups),
  );
  if (own) return own;
  return families.find((family: Family) => {
    const config = family.presets[0]?.transformer;
    const parsed = config && family.schema.safeParse(config).data;
    if (!parsed) return false;
    const [first = ''] = family.blockNames(parsed);
    const block = family.parameters(parsed).filter(({ name }) => name.startsWith(`${first}.`));
    return block.length > 0 && block.every(({ name }) => source.has(name));
  });
}

/** Markers such as `img_in.weight` are not one family's alone: the names of its first blocks are. */
function hasBlocks(source: TensorSource, groups: NonNullable<Family['keys']>['groups']): boolean {
  return groups.every(({ theirs, modules }) => {
    const [module] = Object.keys(modules);
    return theirs === '' || source.names.some(name => name.startsWith(`${theirs}.0.${module}`));
  });
}

function fits(config: ModelConfig, source: TensorSource, where: string): boolean {
  try {
    const named = withKnownNames({ ...config, source, where }, knownTables);
    checkTable(named.source, knownTables(named.className, named.config) ?? [], { where });
    return true;
  } catch (error) {
    if (!ErtaError.isInstance(error)) throw error;
    return false;
  }
}
