import { given } from '../io/given';
import type { BatchRequest, Pipeline } from './pipeline';

/** What a request may say of the picture besides what is in it. */
export type PictureRequest = Partial<
  Pick<
    BatchRequest,
    'size' | 'maxSequenceLength' | 'shift' | 'negativePrompt' | 'trueCfgScale' | 'guidance2' | 'guidanceInterval'
  >
>;

/** The same pipeline, which draws at this size and in this way where a request does not say another; still its owner's to dispose. */
export function atSize(pipeline: Pipeline, usual: PictureRequest): Pipeline {
  const { encodePrompts } = pipeline;
  return {
    ...pipeline,
    textLoss: request => pipeline.textLoss({ ...usual, ...given(request) }),
    schedule: request => pipeline.schedule({ ...usual, ...given(request) }),
    prepare: (request, options) => pipeline.prepare({ ...usual, ...given(request) }, options),
    ...(encodePrompts && {
      encodePrompts: (request, options) => encodePrompts({ ...usual, ...given(request) }, options),
    }),
  };
}
