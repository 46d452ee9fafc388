import { given } from '../io/given';
import type { BatchRequest, Pipeline } from './pipeline';

/** What a request may say of the picture besides what is in it. */
export type PictureRequest = Pick<BatchRequest, 'size' | 'maxSequenceLength'>;

/** The same pipeline, which draws at this size where a request does not say another; still its owner's to dispose. */
export function atSize(pipeline: Pipeline, usual: PictureRequest): Pipeline {
  const { encodePrompts } = pipeline;
  return {
    ...pipeline,
    schedule: request => pipeline.schedule({ ...usual, ...given(request) }),
    prepare: (request, options) => pipeline.prepare({ ...usual, ...given(request) }, options),
    ...(encodePrompts && {
      encodePrompts: (request, options) => encodePrompts({ ...usual, ...given(request) }, options),
    }),
  };
}
