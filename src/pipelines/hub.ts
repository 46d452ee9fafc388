import { UnsupportedError } from '../errors';
import { cogVideoXPipeline } from '../models/cogvideox/pipeline';
import { fluxPipeline } from '../models/flux/pipeline';
import { openSoraPipeline } from '../models/open-sora/pipeline';
import { wanPipeline } from '../models/wan/pipeline';
import type { Pipeline } from '../sampling/pipeline';
import type { OpenModel } from '../weights/open-model';
import { type HubOptions, type HubParts, hubParts } from './parts';

/** By the class that `model_index.json` names, and by that of the transformer, where a fork has renamed the first. */
const pipelines: Readonly<Record<string, (parts: HubParts) => Pipeline>> = {
  FluxPipeline: fluxPipeline,
  FluxTransformer2DModel: fluxPipeline,
  WanPipeline: wanPipeline,
  WanTransformer3DModel: wanPipeline,
  CogVideoXPipeline: cogVideoXPipeline,
  CogVideoXTransformer3DModel: cogVideoXPipeline,
  OpenSoraPipeline: openSoraPipeline,
  STDiT3: openSoraPipeline,
};

/** True for a folder in the hub's layout, converted or not. */
export function isHubPipeline({ files }: OpenModel): boolean {
  return files.includes('model_index.json');
}

/**
 * The pipeline of a folder in the hub's layout. Its parts are loaded when they are needed; `model` may be closed.
 * @throws UnsupportedError for a pipeline of another kind
 */
export async function loadHubPipeline(model: OpenModel, options: HubOptions = {}): Promise<Pipeline> {
  const transformer = model.components.get('transformer')?.className ?? '';
  const create = pipelines[model.pipeline ?? ''] ?? pipelines[transformer];
  if (!create) {
    throw new UnsupportedError(`${model.path} holds a ${model.pipeline}, which ertacache does not sample from.`, {
      hint: 'It samples from FLUX.1, Wan2.1, CogVideoX and Open-Sora 1.2.',
    });
  }
  return create(await hubParts(model, options));
}
