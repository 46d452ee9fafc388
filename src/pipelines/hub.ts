import type { Pipeline } from '../sampling/pipeline';
import type { OpenModel } from '../weights/open-model';
import { type HubOptions, hubParts } from './hub-parts';
import { familyOfModel, MODEL_INDEX } from './model-index';

/** True for a folder in the hub's layout, converted or not. */
export function isHubPipeline({ files }: OpenModel): boolean {
  return files.includes(MODEL_INDEX);
}

/**
 * The pipeline of a folder in the hub's layout. Its parts are loaded when they are needed; `model` may be closed.
 * @throws UnsupportedError for a pipeline of another kind or task
 */
export async function loadHubPipeline(model: OpenModel, options: HubOptions = {}): Promise<Pipeline> {
  const known = await familyOfModel(model);
  return known.pipeline(await hubParts(model, options));
}
