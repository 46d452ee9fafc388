import type { ModelComponent } from '../model-folder';
import type { OpenModel } from '../open-model';
import type { TableOf } from '../tables';
import { fluxNames } from './flux';
import type { KeyLayout } from './key-layout';
import { renamedSource } from './renamed-source';
import { wanConfigOf, wanNames } from './wan';

/**
 * Layouts besides the parameter table's own, by model class. The table of Open-Sora has its authors' names already;
 * CogVideoX is published in no other layout that is safe to read.
 */
const layouts: ReadonlyMap<string, KeyLayout> = new Map([
  ['FluxTransformer2DModel', fluxNames],
  ['WanTransformer3DModel', wanNames],
]);

/**
 * A component under the names of its class's parameter table, whichever of the published layouts it has: its keys
 * show which one.
 * @throws CheckpointError when it has another layout but not all of its keys
 */
export function withKnownNames(component: ModelComponent, tableOf: TableOf): ModelComponent {
  const known = { ...component, ...wanConfigOf(component) };
  const layout = layouts.get(known.className);
  if (!layout || !component.source.has(layout.marker)) return known;
  const table = tableOf(known.className, known.config);
  return table ? { ...known, source: renamedSource(component.source, table, layout, component.where) } : known;
}

/** The same for every component of an opened model. */
export function modelWithKnownNames(model: OpenModel, tableOf: TableOf): OpenModel {
  const components = [...model.components].map(
    ([name, component]) => [name, withKnownNames(component, tableOf)] as const,
  );
  return { ...model, components: new Map(components) };
}
