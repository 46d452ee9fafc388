import { fileIn } from '../io/folder';
import { parseConfig } from '../io/parse-config';
import type { KeyLayout } from '../weights/key-layout';
import type { ModelComponent } from '../weights/model-folder';
import type { OpenModel } from '../weights/open-model';
import { unwrapped } from '../weights/prefixes';
import { renamedSource } from '../weights/renamed-source';
import { withoutTensors } from '../weights/selected-source';
import type { TableOf } from '../weights/tables';
import { autoencoderClassNames, autoencoderOf } from './autoencoders';
import { families } from './families';
import { textEncoderClass, textEncoderNames } from './text/registry';

/**
 * A component under the names of its class's parameter table, whichever of the published layouts it has and whatever
 * stands before its keys: they say which one.
 * @throws CheckpointError when it has another layout but not all of its keys
 */
export function withKnownNames(component: ModelComponent, tableOf: TableOf): ModelComponent {
  const own = families.map(family => family.configOf?.(component)).find(config => config !== undefined);
  const unused = textEncoderNames().includes(component.className) && textEncoderClass(component.className).unused;
  if (unused) return { ...component, source: withoutTensors(component.source, unused) };
  const family = families.find(one => one.className === (own ?? component).className);
  if (!family) return renamed(component, autoencoderKeys(component), tableOf);
  return renamed({ ...component, ...own, source: unwrapped(component.source) }, family.keys, tableOf);
}

function renamed(component: ModelComponent, layout: KeyLayout | undefined, tableOf: TableOf): ModelComponent {
  const { className, config, source, where } = component;
  if (!layout || !source.has(layout.marker)) return component;
  const table = tableOf(className, config);
  return table ? { ...component, source: renamedSource(source, table, layout, where) } : component;
}

function autoencoderKeys({ className, config, where }: ModelComponent): KeyLayout | undefined {
  if (!autoencoderClassNames().includes(className)) return undefined;
  const { keys, schema } = autoencoderOf(className);
  return keys?.(parseConfig(schema, config, fileIn(where, 'config.json')));
}

/** The same for every component of an opened model. */
export function modelWithKnownNames(model: OpenModel, tableOf: TableOf): OpenModel {
  const components = [...model.components].map(
    ([name, component]) => [name, withKnownNames(component, tableOf)] as const,
  );
  const reopen = async (): Promise<OpenModel> => modelWithKnownNames(await model.reopen(), tableOf);
  return { ...model, components: new Map(components), reopen };
}
