import { type Group, originsOf } from '../key-layout';
import type { Parameter, ParameterTable } from '../parameters';
import { flattened, withoutPrefixes } from './keys';

/** A run of rows: first, and one past the last. */
export type Rows = readonly (readonly [number, number])[];

/** A parameter of ours as a part of a tensor that an adapter was trained on. */
export interface Part {
  readonly parameter: Parameter;
  /** Its rows there, in its own order. */
  readonly rows: Rows;
}

/** A tensor that an adapter was trained on: a parameter of ours, or several that are one in another layout. */
export interface Whole {
  /** As PyTorch stores it. */
  readonly shape: readonly number[];
  readonly parts: readonly Part[];
}

/** What an adapter changes of a module. */
export interface Module {
  readonly weight?: Whole;
  readonly bias?: Whole;
}

/** The modules of a model by every name that adapters know them by. */
export interface Modules {
  /** @param name as the adapter writes it, with its prefixes, its dots or underscores */
  find(name: string): Module | undefined;
}

/**
 * The modules of a model: under the names of the parameter table, and under those of other layouts, where several of
 * ours may be one.
 * @param layouts groups of names of the authors' layout, and of trainers that have names of their own
 */
export function modulesOf(table: ParameterTable, layouts: readonly (readonly Group[])[] = []): Modules {
  const own = new Map(table.map(parameter => [parameter.name, wholeOf([partOf(parameter)])]));
  const all = [own, ...layouts.map(groups => foreign(table, groups))];
  const found = new Map<string, { weight?: Whole; bias?: Whole }>();
  for (const wholes of all) {
    for (const [name, whole] of wholes) {
      const [, module = name, end = 'weight'] = /^(.*)\.(weight|bias|scale)$/.exec(name) ?? [];
      const key = flattened(module);
      const entry = found.get(key) ?? {};
      entry[end === 'bias' ? 'bias' : 'weight'] ??= whole;
      found.set(key, entry);
    }
  }
  return {
    find(name) {
      for (const candidate of withoutPrefixes(name)) {
        const module = found.get(candidate);
        if (module) return module;
      }
      return undefined;
    },
  };
}

const rowsOf = (rows: Rows): number => rows.reduce((sum, [first, end]) => sum + end - first, 0);

const partOf = (parameter: Parameter): Part => ({ parameter, rows: [[0, parameter.shape[0] ?? 1]] });

function wholeOf(parts: readonly Part[]): Whole {
  const { shape } = parts[0]!.parameter;
  const rows = parts.reduce((sum, part) => sum + rowsOf(part.rows), 0);
  return { shape: shape.length === 0 ? [] : [rows, ...shape.slice(1)], parts };
}

function foreign(table: ParameterTable, groups: readonly Group[]): Map<string, Whole> {
  const parts = new Map<string, Part[]>();
  const origins = originsOf(table, { groups });
  for (const parameter of table) {
    const origin = origins.get(parameter.name);
    if (!origin) continue;
    parts.set(origin.name, [...(parts.get(origin.name) ?? []), { parameter, rows: origin.rows }]);
  }
  return new Map([...parts].map(([name, found]) => [name, wholeOf(found)]));
}
