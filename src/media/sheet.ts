import type { OverlayOptions } from 'sharp';
import { frames, fromBytes, type Image, imageSize, type Media, toBytes } from './pixels';
import { loadSharp, MAX_PIXELS } from './sharp';
import { layOut, type PlacedImage, type Sheet } from './sheet-layout';

/**
 * Draws a contact sheet. Pictures smaller than a cell are enlarged by a whole number with hard edges, so that no
 * smoothing hides a difference; larger ones are reduced.
 */
export async function renderSheet(sheet: Sheet): Promise<Image> {
  const { width, height, background, svg, images } = layOut(sheet);
  const layers: OverlayOptions[] = [{ input: Buffer.from(svg), left: 0, top: 0 }];
  for (const placed of images) layers.push(await layer(placed));
  const sharp = await loadSharp();
  const page = sharp({ create: { width, height, channels: 3, background }, limitInputPixels: MAX_PIXELS });
  const data = await page.composite(layers).removeAlpha().raw().toBuffer();
  return fromBytes(data, [height, width, 3]);
}

/** At most `count` frames of a clip, evenly spread, the first and the last among them: a row of a sheet. */
export function spreadFrames(media: Media, count: number): { image: Image; index: number }[] {
  const all = frames(media);
  const taken = Math.min(count, all.length);
  return Array.from({ length: taken }, (_, i) => {
    const index = taken === 1 ? 0 : Math.round((i * (all.length - 1)) / (taken - 1));
    return { image: all[index]!, index };
  });
}

async function layer({ image, left, top, width, height }: PlacedImage): Promise<OverlayOptions> {
  const size = imageSize(image);
  const kernel = width >= size.width ? 'nearest' : 'lanczos3';
  const sharp = await loadSharp();
  const input = await sharp(toBytes(image), { raw: { ...size, channels: 3 }, limitInputPixels: MAX_PIXELS })
    .resize(width, height, { fit: 'fill', kernel })
    .png({ compressionLevel: 1 })
    .toBuffer();
  return { input, left, top };
}
