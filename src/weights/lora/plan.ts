import { CheckpointError, type CheckpointFault } from '../../errors';
import { isFloating, showShape } from '../dtype';
import { checkFinite } from '../finite';
import type { Adapter } from './adapter';
import { adapterKey, isOfTextEncoder } from './keys';
import type { Module, Modules, Rows, Whole } from './modules';
import {
  differenceTerm,
  factoredTerm,
  type Magnitude,
  type ModuleTensors,
  magnitudeOf,
  type Scale,
  type Term,
} from './terms';

/** What an adapter does to one parameter. */
export interface Change {
  readonly adapter: Adapter;
  /** The parameter's rows in what the adapter was trained on. */
  readonly rows: Rows;
  readonly terms: readonly Term[];
  readonly magnitude?: Magnitude | undefined;
}

/** What an adapter does to a model. */
export interface AdapterPlan {
  /** By parameter. */
  readonly changes: ReadonlyMap<string, readonly Change[]>;
  /** How many modules it changes, as it counts them. */
  readonly modules: number;
  /** Tensors that are for a text encoder, which are not merged. */
  readonly ofTextEncoders: readonly string[];
}

/** No tensor of a model has a name as long. */
const LONGEST_NAME = 1000;

/**
 * Checks an adapter whole against a model: names, shapes and types. Of the values, only the alphas are read.
 * @throws CheckpointError naming the module or the tensor
 */
export async function planAdapter(adapter: Adapter, modules: Modules): Promise<AdapterPlan> {
  const { source, where } = adapter;
  const ofTextEncoders = source.names.filter(isOfTextEncoder);
  const names = source.names.filter(name => !isOfTextEncoder(name));
  const groups = grouped(names, adapter);
  requireKnown(groups, modules, where, ofTextEncoders.length > 0);
  requireFloating(names, adapter);
  const changes = new Map<string, Change[]>();
  for (const tensors of groups.values()) {
    for (const { whole, ...change } of await changesOf(tensors, modules.find(tensors.module)!, adapter)) {
      for (const { parameter, rows } of whole.parts) {
        if (parameter.lookup) throw fault('unexpected_key', `${where} changes the table ${tensors.module}.`, PART);
        const list = changes.get(parameter.name) ?? [];
        changes.set(parameter.name, [...list, { adapter, rows, ...change }]);
      }
    }
  }
  return { changes, modules: groups.size, ofTextEncoders };
}

/** Reads every value that is merged. @throws CheckpointError `non_finite` naming the tensor */
export async function checkAdapterValues({ source }: Pick<Adapter, 'source'>): Promise<void> {
  for (const name of source.names) {
    const { dtype, file } = source.entry(name);
    if (isFloating(dtype) && !isOfTextEncoder(name)) checkFinite(await source.read(name), name, file);
  }
}

const OTHER = 'It was trained on another model.';
const PART = 'It was trained on another model of the family, or holds more than a LoRA.';
const AGAIN = 'Take the LoRA again, whole.';

function fault(kind: CheckpointFault, message: string, hint: string): CheckpointError {
  return new CheckpointError(kind, message, { hint });
}

/** Tensors by the module that they change. */
export function grouped(
  names: readonly string[],
  { source, where }: Pick<Adapter, 'source' | 'where'>,
): Map<string, ModuleTensors> {
  const groups = new Map<string, ModuleTensors & { keys: Map<string, string> }>();
  const unknown: string[] = [];
  for (const name of names) {
    const key = name.length > LONGEST_NAME ? undefined : adapterKey(name);
    if (!key) {
      unknown.push(name);
      continue;
    }
    const { module, role } = key;
    const group = groups.get(module) ?? { module, keys: new Map(), first: key, source, where };
    groups.set(module, group);
    const twin = group.keys.get(role);
    if (twin !== undefined) {
      throw fault('unexpected_key', `${where} holds both ${twin} and ${name}.`, 'Take a file with one LoRA.');
    }
    group.keys.set(role, name);
  }
  if (unknown.length === 0) return groups;
  const hint =
    groups.size === 0
      ? 'It is no LoRA; a whole model is given as the model.'
      : 'ertacache knows no such part of a LoRA.';
  throw fault('unexpected_key', `${where} holds ${some(unknown)}, which belongs to no LoRA.`, hint);
}

function requireKnown(
  groups: ReadonlyMap<string, ModuleTensors>,
  modules: Modules,
  where: string,
  hasTextEncoders: boolean,
): void {
  if (groups.size === 0) {
    const what = hasTextEncoders ? 'changes text encoders only' : 'holds no tensors';
    throw fault('unexpected_key', `${where} ${what}.`, 'Take a LoRA that was trained on the transformer.');
  }
  const unmatched = [...groups.keys()].filter(module => !modules.find(module));
  if (unmatched.length === 0) return;
  const hint = unmatched.length === groups.size ? OTHER : PART;
  throw fault('unexpected_key', `${where} changes ${some(unmatched)}, which the model does not have.`, hint);
}

function requireFloating(names: readonly string[], { source, where }: Adapter): void {
  for (const name of names) {
    const { dtype } = source.entry(name);
    // Some trainers write an alpha as they were given it, as a whole number.
    const isWhole = /^[IU]\d/.test(dtype) && adapterKey(name)?.role === 'alpha';
    if (!isFloating(dtype) && !isWhole) {
      throw fault('dtype', `${name} in ${where} holds ${dtype} values.`, 'Take a LoRA of floating-point values.');
    }
  }
}

type WholeChange = Pick<Change, 'terms' | 'magnitude'> & { readonly whole: Whole };

/** What the tensors of a module do to its weight and to its bias. */
async function changesOf(tensors: ModuleTensors, module: Module, adapter: Adapter): Promise<WholeChange[]> {
  const { keys, where } = tensors;
  const whole = (part: 'weight' | 'bias') => (): Whole => {
    const found = module[part];
    if (found) return found;
    throw fault('unexpected_key', `${where} changes the ${part} of ${tensors.module}, which has none.`, PART);
  };
  const difference = (role: 'diff' | 'diffBias' | 'upBias', part: 'weight' | 'bias', factor = 1): Term[] => {
    const key = keys.get(role);
    return key === undefined ? [] : [differenceTerm(tensors, key, whole(part)(), factor)];
  };
  const term = factoredTerm(tensors, whole('weight'), await scaleOf(tensors, adapter));
  const terms = [...(term ? [term] : []), ...difference('diff', 'weight')];
  const biases = [...difference('diffBias', 'bias'), ...(term ? difference('upBias', 'bias', term.factor) : [])];
  const magnitude = keys.get('magnitude');
  const needsFactors = magnitude !== undefined || keys.has('upBias') || terms.length + biases.length === 0;
  if (needsFactors && !term) {
    throw fault('missing_key', `${where} lacks ${tensors.module}.lora_down.weight.`, AGAIN);
  }
  const changes: WholeChange[] = [];
  if (terms.length > 0) {
    const weight = whole('weight')();
    changes.push({
      whole: weight,
      terms,
      ...(magnitude !== undefined && { magnitude: magnitudeOf(tensors, magnitude, weight) }),
    });
  }
  if (biases.length > 0) changes.push({ whole: whole('bias')(), terms: biases });
  return changes;
}

/** By how much an update of a rank is multiplied: by the module's own alpha, else by what peft's settings say. */
async function scaleOf({ module, keys, source, where }: ModuleTensors, { settings }: Adapter): Promise<Scale> {
  const key = keys.get('alpha');
  if (key === undefined) return rank => settings.factor(module, rank);
  const { size, shape, file } = source.entry(key);
  if (size !== 1) {
    throw fault('shape_mismatch', `${key} in ${where} has the shape ${showShape(shape)}, not one number.`, AGAIN);
  }
  const values = await source.read(key);
  checkFinite(values, key, file);
  // Where there is no rank, LyCORIS leaves the alpha out, and trainers write any.
  return rank => (rank === undefined ? 1 : values[0]! / rank);
}

function some(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
