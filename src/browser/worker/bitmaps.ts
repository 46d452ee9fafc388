import { frameSize, frames, type Image, type Media } from '../../media/pixels';
import { toRgba } from '../rgba';

/** One bitmap a frame. */
export function bitmapsOf(media: Media): Promise<ImageBitmap[]> {
  return Promise.all(frames(media).map(bitmapOf));
}

function bitmapOf(image: Image): Promise<ImageBitmap> {
  const { width, height } = frameSize(image);
  return createImageBitmap(new ImageData(toRgba(image), width, height));
}
