import { fromBytes, type Image, imageSize, toBytes } from './pixels';
import { loadSharp, MAX_PIXELS } from './sharp';

/** An image at another size, by Lanczos' filter, stretched where the proportions differ. The same size gives it back. */
export async function resized(image: Image, height: number, width: number): Promise<Image> {
  const size = imageSize(image);
  if (size.height === height && size.width === width) return image;
  const sharp = await loadSharp();
  const data = await sharp(toBytes(image), { raw: { ...size, channels: 3 }, limitInputPixels: MAX_PIXELS })
    .resize(width, height, { fit: 'fill', kernel: 'lanczos3' })
    .raw()
    .toBuffer();
  return fromBytes(data, [height, width, 3]);
}
