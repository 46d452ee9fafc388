import type { ParameterTable } from './parameters';

/** The two halves of a tensor's rows change places: `shift, scale` in the one layout is `scale, shift` in the other. */
export interface Swapped {
  readonly swapped: string;
}

/**
 * What an original module is called in the parameter table. A list means that its rows are those of several modules,
 * one after the other. Single parameters stand with their whole name.
 */
export type Modules = Readonly<Record<string, string | readonly string[] | Swapped>>;

/** Modules that repeat under a number (`double_blocks.3` and `transformer_blocks.3`), or once where both are empty. */
export interface Group {
  readonly theirs: string;
  readonly ours: string;
  readonly modules: Modules;
}

/** The names of a checkpoint as the repository of the model's authors publishes it. */
export interface KeyLayout {
  /** A key that only this layout has: what it is recognised by. */
  readonly marker: string;
  /** What each module is called in diffusers. */
  readonly groups: readonly Group[];
}

/** Where the rows of one parameter lie in a checkpoint of another layout. */
export interface Origin {
  readonly name: string;
  /** Runs of rows, first and one past the last, in the parameter's order. */
  readonly rows: readonly (readonly [number, number])[];
}

/** A module of ours as a part of one of theirs. */
interface Place {
  readonly original: string;
  /** Modules whose rows come before. */
  readonly before: readonly string[];
  readonly isSwapped: boolean;
}

/** Where each parameter of a table lies, for all that the layout names. */
export function originsOf(table: ParameterTable, layout: Pick<KeyLayout, 'groups'>): Map<string, Origin> {
  const groups = layout.groups.map(group => ({ ...group, places: placesOf(group.modules) }));
  const rowsOf = new Map(table.map(({ name, shape }) => [name, shape[0] ?? 1]));
  const origins = new Map<string, Origin>();
  for (const [name, count] of rowsOf) {
    for (const { ours, theirs, places } of groups) {
      const local = localName(name, ours);
      const found = local && (exact(places, local.rest) ?? inModule(places, local.rest));
      if (!found) continue;
      const { place, suffix } = found;
      const prefix = (side: string): string => (side === '' ? '' : `${side}.${local.index}.`);
      const start = place.before.reduce((sum, module) => sum + rowsOf.get(prefix(ours) + module + suffix)!, 0);
      origins.set(name, {
        name: prefix(theirs) + place.original + suffix,
        rows: place.isSwapped
          ? [
              [count / 2, count],
              [0, count / 2],
            ]
          : [[start, start + count]],
      });
    }
  }
  return origins;
}

function placesOf(modules: Modules): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [original, target] of Object.entries(modules)) {
    const isSwapped = typeof target === 'object' && 'swapped' in target;
    const ours = isSwapped ? [target.swapped] : typeof target === 'string' ? [target] : target;
    for (const [i, module] of ours.entries()) places.set(module, { original, before: ours.slice(0, i), isSwapped });
  }
  return places;
}

/** A name without its group's prefix and number. */
function localName(name: string, group: string): { index: string; rest: string } | undefined {
  if (group === '') return { index: '', rest: name };
  if (!name.startsWith(`${group}.`)) return undefined;
  const [index, ...rest] = name.slice(group.length + 1).split('.');
  return { index: index!, rest: rest.join('.') };
}

function exact(places: ReadonlyMap<string, Place>, name: string): { place: Place; suffix: string } | undefined {
  const place = places.get(name);
  return place && { place, suffix: '' };
}

function inModule(places: ReadonlyMap<string, Place>, name: string): { place: Place; suffix: string } | undefined {
  const dot = name.lastIndexOf('.');
  const place = places.get(name.slice(0, Math.max(0, dot)));
  return place && { place, suffix: name.slice(dot) };
}
