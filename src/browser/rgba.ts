import { type Image, toBytes } from '../media/pixels';

/** The bytes of an image as canvases take them: red, green, blue, and full opacity. */
export function toRgba(image: Image): Uint8ClampedArray<ArrayBuffer> {
  const rgb = toBytes(image);
  const rgba = new Uint8ClampedArray((rgb.length / 3) * 4).fill(255);
  for (let pixel = 0; 3 * pixel < rgb.length; pixel++) rgba.set(rgb.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
  return rgba;
}
