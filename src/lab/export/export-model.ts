import { UnsupportedError } from '../../errors';
import { note } from '../../io/notes';
import { modelClassNames } from '../../models/families';
import { modelWithKnownNames } from '../../models/known-names';
import { type Conversion, type ConvertOptions, convertModel, type GraphOf } from '../../weights/convert';
import type { OpenModel } from '../../weights/open-model';
import { exportGraph } from './export-graph';

/** Graphs of the transformers that ertacache runs; other classes have none. */
export function graphsOfTransformers(split = false): GraphOf {
  return (className, config, prefix) =>
    modelClassNames().includes(className) ? exportGraph(className, config, { prefix, split }) : undefined;
}

export interface ExportOptions extends Omit<ConvertOptions, 'graphOf' | 'named' | 'select'> {
  /** Names the three parts of the model in the signature. */
  readonly split?: boolean | undefined;
}

/**
 * Writes the transformer of a model, the first where it has two, as a TensorFlow.js graph model: `model.json`, weights
 * under their own names, and the constants of the graph. Small models keep their word table and their files, so that
 * ertacache samples from the result as well.
 * @throws UnsupportedError when the model holds no transformer that can be exported; see `convertModel` for others
 */
export function exportModel(source: string, out: string, options: ExportOptions): Promise<Conversion> {
  const { split, ...rest } = options;
  const named = (model: OpenModel): OpenModel => modelWithKnownNames(model, options.tableOf);
  return convertModel(source, out, { ...rest, named, graphOf: graphsOfTransformers(split), select: transformerOf });
}

function transformerOf(model: OpenModel): OpenModel {
  const all = [...model.components].filter(([, { className }]) => modelClassNames().includes(className));
  const [found, second] = all;
  if (!found) {
    const classes = [...model.components.values()].map(component => component.className).join(', ');
    throw new UnsupportedError(`${model.path} holds no transformer that can be exported (${classes}).`, {
      hint: `These can: ${modelClassNames().join(', ')}.`,
    });
  }
  if (second) {
    const other = `To export ${second[0]}, give its own folder: ${second[1].where}.`;
    note(`${model.path} has ${all.length} transformers, and ${found[0]} is written. ${other}`);
  }
  const isSmall = model.files.includes('pipeline.json');
  const kept = [...model.components].filter(
    ([name, { className }]) => name === found[0] || (isSmall && className === 'WordTable'),
  );
  return { ...model, components: new Map(kept), files: isSmall ? model.files : [] };
}
