import ndarray from 'ndarray';
import { dense, type Media } from '../media/pixels';
import type { PlainMedia } from './protocol';

/** Pixels for the other side, in memory of their own, so that it can be handed over. */
export function toPlainMedia(media: Media): PlainMedia & { readonly data: Float32Array<ArrayBuffer> } {
  return { data: Float32Array.from(dense(media)), shape: [...media.shape] };
}

/** Pixels from the other side. */
export function fromPlainMedia({ data, shape }: PlainMedia): Media {
  return ndarray(data, [...shape]);
}
