import sharp from 'sharp';
import { writeFileAtomic } from '../../io/atomic';
import { dense, frames, type Image, imageSize, type Media } from '../../media/pixels';
import { encodePng } from '../../media/png';

/** Differences below this share of the full range are drawn as none. */
export const LEAST_DIFFERENCE = 1e-3;

/** What stands for a picture or a clip in the report: the picture itself, or the clip's middle frame. */
export function still(media: Media): Image {
  const all = frames(media);
  return all[Math.floor(all.length / 2)] as Image;
}

/** What stands for `media` as a PNG file. */
export const stillPng = (media: Media): Uint8Array => encodePng(still(media));

/**
 * Where two pictures differ, as a grey PNG file: the mean over the colours of the absolute difference, on a
 * logarithmic scale from a thousandth of the full range (0) to all of it (255).
 */
export async function differencePng(reference: Media, media: Media): Promise<Uint8Array> {
  const [a, b] = [still(reference), still(media)];
  const { width, height } = imageSize(a);
  const bytes = differenceLevels(a, b);
  return sharp(bytes, { raw: { width, height, channels: 1 } })
    .png()
    .toBuffer();
}

/** Writes what stands for `media` as a PNG file. */
export async function writeStill(path: string, media: Media): Promise<void> {
  await writeFileAtomic(path, stillPng(media));
}

/** Writes where two pictures differ as a PNG file. */
export async function writeDifference(path: string, reference: Media, media: Media): Promise<void> {
  await writeFileAtomic(path, await differencePng(reference, media));
}

/** One level in 0 … 255 for every pixel. */
export function differenceLevels(a: Image, b: Image): Uint8Array {
  const [left, right] = [dense(a), dense(b)];
  const decades = -Math.log10(LEAST_DIFFERENCE);
  return Uint8Array.from({ length: left.length / 3 }, (_, i) => {
    let sum = 0;
    for (let c = 3 * i; c < 3 * i + 3; c++) sum += Math.abs((left[c] as number) - (right[c] as number));
    const level = (Math.log10(Math.max(sum / 3, LEAST_DIFFERENCE)) + decades) / decades;
    return Math.round(255 * Math.min(1, level));
  });
}
