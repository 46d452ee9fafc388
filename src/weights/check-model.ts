import { checkTable } from './check-table';
import { SLICE_ELEMENTS } from './content-hash';
import { isFloating } from './dtype';
import { checkFinite } from './finite';
import type { ModelComponent } from './model-folder';
import type { OpenModel } from './open-model';
import { slices } from './source';
import { requireTable, type TableOf } from './tables';

export interface CheckOptions {
  readonly tableOf: TableOf;
  /** Takes classes that `tableOf` does not know, without a check of their names and shapes. */
  readonly unchecked?: boolean | undefined;
}

/** Checks the names and shapes of every component against its class. @throws CheckpointError */
export function checkModel(model: OpenModel, { tableOf, unchecked = false }: CheckOptions): void {
  for (const component of model.components.values()) {
    const { className, config, source, where } = component;
    const table = unchecked ? tableOf(className, config, source) : requireTable(tableOf, component);
    if (table) checkTable(source, table, { where });
  }
}

/** Reads every floating tensor of a component. @throws CheckpointError `non_finite` naming the tensor */
export async function checkValues({ source }: ModelComponent): Promise<void> {
  for (const name of source.names) {
    const { dtype, size, file } = source.entry(name);
    if (!isFloating(dtype)) continue;
    for (const slice of slices(size, SLICE_ELEMENTS))
      checkFinite(await source.read(name, slice), name, file, slice.start);
  }
}
