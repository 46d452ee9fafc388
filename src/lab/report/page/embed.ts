import { readFile } from 'node:fs/promises';
import sharp from 'sharp';

/** Larger pictures are embedded smaller, so that the page stays one that can be sent. */
const LARGEST = 256;

/** A picture for use in the page. */
export interface Embedded {
  /** The file's content as a data URI. */
  readonly uri: string;
  readonly width: number;
  readonly height: number;
}

/** A PNG file as it is or, where it is large, reduced and as WebP. */
export async function embedPicture(path: string): Promise<Embedded> {
  const bytes = await readFile(path);
  const { width, height } = await sharp(bytes).metadata();
  if (Math.max(width, height) <= LARGEST) return { uri: dataUri('png', bytes), width, height };
  const fitted = sharp(bytes).resize(LARGEST, LARGEST, { fit: 'inside' }).webp({ quality: 88 });
  const { data, info } = await fitted.toBuffer({ resolveWithObject: true });
  return { uri: dataUri('webp', data), width: info.width, height: info.height };
}

/** Colours from no difference to all of it: black, violet, orange, pale yellow; ever lighter, so that grey tells too. */
export const HEAT: readonly (readonly [number, number, number])[] = [
  [8, 6, 20],
  [72, 18, 107],
  [158, 42, 99],
  [224, 84, 58],
  [250, 161, 37],
  [252, 253, 191],
];

/** A grey difference picture in the colours of heat. */
export async function embedHeat(path: string): Promise<Embedded> {
  const { data, info } = await sharp(path).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const pixels = Buffer.alloc(width * height * 3);
  for (let i = 0; i < width * height; i++) pixels.set(heatColour((data[i * channels] as number) / 255), 3 * i);
  const coloured = sharp(pixels, { raw: { width, height, channels: 3 } });
  const large = Math.max(width, height) > LARGEST;
  const png = await (large ? coloured.resize(LARGEST, LARGEST, { fit: 'inside' }) : coloured)
    .png({ palette: true, colours: 64, compressionLevel: 9 })
    .toBuffer();
  return { uri: dataUri('png', png), width, height };
}

/** The colour of a level in [0, 1]. */
export function heatColour(level: number): [number, number, number] {
  const place = Math.min(1, Math.max(0, level)) * (HEAT.length - 1);
  const below = Math.min(Math.floor(place), HEAT.length - 2);
  const [from, to] = [HEAT[below] as readonly number[], HEAT[below + 1] as readonly number[]];
  return [0, 1, 2].map(c => Math.round(from[c]! + (to[c]! - from[c]!) * (place - below))) as [number, number, number];
}

const dataUri = (type: string, bytes: Buffer): string => `data:image/${type};base64,${bytes.toString('base64')}`;
