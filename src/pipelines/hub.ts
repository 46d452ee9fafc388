import { UnsupportedError } from '../errors';
import { families, familyOf, familyOfPipeline, modelClassNames } from '../models/families';
import type { Pipeline } from '../sampling/pipeline';
import type { OpenModel } from '../weights/open-model';
import { type HubOptions, hubParts } from './hub-parts';

/** True for a folder in the hub's layout, converted or not. */
export function isHubPipeline({ files }: OpenModel): boolean {
  return files.includes('model_index.json');
}

/**
 * The pipeline of a folder in the hub's layout. Its parts are loaded when they are needed; `model` may be closed.
 * Its kind follows from the class that `model_index.json` names, or from that of the transformer, where a fork has
 * renamed the first.
 * @throws UnsupportedError for a pipeline of another kind
 */
export async function loadHubPipeline(model: OpenModel, options: HubOptions = {}): Promise<Pipeline> {
  const transformer = model.components.get('transformer')?.className ?? '';
  const known =
    familyOfPipeline(model.pipeline ?? '') ??
    (modelClassNames().includes(transformer) ? familyOf(transformer) : undefined);
  if (!known) {
    throw new UnsupportedError(`${model.path} holds a ${model.pipeline}, which ertacache does not sample from.`, {
      hint: `It samples from ${families.map(family => family.title).join(', ')}.`,
    });
  }
  return known.pipeline(await hubParts(model, options));
}
