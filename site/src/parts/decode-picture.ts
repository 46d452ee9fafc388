import type { Media } from 'ertacache/browser';
import ndarray from 'ndarray';

/**
 * The pixels of a picture's file, as the library has them. The first frame of a clip is none: nothing is returned where
 * there is more than one.
 */
export async function decodePicture(file: Blob): Promise<Media | undefined> {
  // Colours as they are in the file: a profile would change them.
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) return undefined;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Float32Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = (data[4 * i + c] ?? 0) / 255;
  }
  return ndarray(pixels, [height, width, 3]);
}
