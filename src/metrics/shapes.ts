import { ShapeError } from '../errors';
import { isClip, type Media } from '../media/pixels';

/** Refuses to compare pixels of different sizes, or an image with a clip. */
export function assertSameShape(a: Media, b: Media): void {
  const [left, right] = [describe(a), describe(b)];
  if (left !== right) {
    throw new ShapeError(`Cannot compare ${left} with ${right}.`, { hint: 'Both need the same size and length.' });
  }
}

function describe(media: Media): string {
  const moving = isClip(media);
  const [height, width] = media.shape.slice(-3);
  return moving ? `a clip of ${media.shape[0]} frames of ${width}×${height}` : `a picture of ${width}×${height}`;
}
