import { CheckpointError } from '../errors';
import { showShape } from './dtype';
import { asStored } from './layout';
import type { ParameterTable } from './parameters';
import type { TensorEntry } from './source';

/** What {@link checkTable} needs of a source. */
export interface Listing {
  readonly names: readonly string[];
  has(name: string): boolean;
  entry(name: string): Pick<TensorEntry, 'shape' | 'isLaidOut'>;
}

export interface TableCheck {
  /** How errors call the checkpoint: a file, a folder or a component. */
  readonly where: string;
  /** Tensors that may be there though the table does not list them. */
  readonly ignore?: readonly RegExp[] | undefined;
}

/**
 * Compares a checkpoint's names and shapes with a model's parameters, without reading a value.
 * @throws CheckpointError `missing_key`, `unexpected_key` or `shape_mismatch`
 */
export function checkTable(listing: Listing, table: ParameterTable, { where, ignore = [] }: TableCheck): void {
  const wanted = new Set(table.map(parameter => parameter.name));
  const missing = [...wanted].filter(name => !listing.has(name));
  const unexpected = listing.names.filter(name => !wanted.has(name) && !ignore.some(pattern => pattern.test(name)));
  if (missing.length > 0) {
    const instead = unexpected.length > 0 ? ` It holds ${some(unexpected)}, which the model does not take.` : '';
    throw new CheckpointError('missing_key', `${where} lacks ${some(missing)}.`, {
      hint: `The weights are not those of this config.json, or were saved incompletely.${instead}`,
    });
  }
  if (unexpected.length > 0) {
    throw new CheckpointError('unexpected_key', `${where} holds ${some(unexpected)}, which the model does not take.`, {
      hint: 'The weights are not those of this config.json, or hold more than the model (an adapter, an optimizer).',
    });
  }
  for (const parameter of table) {
    const entry = listing.entry(parameter.name);
    const { name, shape } = asStored(parameter, entry);
    const found = entry.shape;
    if (found.length === shape.length && found.every((size, i) => size === shape[i])) continue;
    const message = `${name} in ${where} has the shape ${showShape(found)}, but the model takes ${showShape(shape)}.`;
    throw new CheckpointError('shape_mismatch', message, {
      hint: 'The weights are not those of this config.json; take both from the same repository.',
    });
  }
}

function some(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more tensors` : shown;
}
