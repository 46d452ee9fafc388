import type { Sharp } from 'sharp';
import { type Image, imageSize, toBytes } from './pixels';
import { loadSharp, MAX_PIXELS } from './sharp';
import { toXmp } from './xmp';

export interface StillOptions {
  /** JSON that says how the picture was made; it goes into the file's XMP. */
  receipt?: unknown | undefined;
}

/** An image as a WebP file. Quality 100, the default, is lossless. */
export async function encodeWebp(
  image: Image,
  options: StillOptions & { quality?: number | undefined } = {},
): Promise<Buffer> {
  const { quality = 100 } = options;
  const picture = await raw(image, options);
  return picture.webp({ quality, lossless: quality === 100 }).toBuffer();
}

/** An image as a JPEG file with colours at full resolution. */
export async function encodeJpeg(
  image: Image,
  options: StillOptions & { quality?: number | undefined } = {},
): Promise<Buffer> {
  const { quality = 90 } = options;
  return (await raw(image, options)).jpeg({ quality, chromaSubsampling: '4:4:4' }).toBuffer();
}

async function raw(image: Image, { receipt }: StillOptions): Promise<Sharp> {
  const sharp = await loadSharp();
  const { height, width } = imageSize(image);
  const picture = sharp(toBytes(image), { raw: { width, height, channels: 3 }, limitInputPixels: MAX_PIXELS });
  return receipt === undefined ? picture : picture.withXmp(toXmp({ receipt }));
}
