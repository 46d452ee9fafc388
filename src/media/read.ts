import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { IoError, UnsupportedError, UsageError } from '../errors';
import { readError } from '../io/system-error';
import { frameDelays } from './animation';
import { frames, fromBytes, type Image, joinFrames, type Media } from './pixels';
import { MAX_PIXELS } from './png';
import { loadSharp } from './sharp';
import { timingFromXmp } from './xmp';

/** Pixels from a file, and the frame rate where the file has one. */
export interface ReadMedia {
  /** `[H, W, 3]` for a picture, `[F, H, W, 3]` for a clip; values in [0, 1]. */
  pixels: Media;
  /** Frames per second; absent for pictures and folders of frames. */
  fps?: number | undefined;
}

const PICTURES = new Set(['.png', '.jpg', '.jpeg', '.webp', '.gif', '.tif', '.tiff', '.avif']);
const VIDEOS = new Set(['.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi']);

/** True for names that `readMedia` can read as one picture or animation. */
export function isPictureName(name: string): boolean {
  return PICTURES.has(extname(name).toLowerCase());
}

/**
 * Reads an image, an animation, or a folder of frames (in the natural order of their names, as one clip).
 * Transparency is put on white; other colour spaces become sRGB.
 * @param path PNG, JPEG, WebP, GIF, TIFF, AVIF, or a folder of such files
 * @returns the pixels, and the frame rate where the file has one
 * @throws UnsupportedError for a video file
 * @throws IoError for a file that is not there or cannot be read as a picture
 */
export async function readMedia(path: string): Promise<ReadMedia> {
  const info = await stat(path).catch(error => {
    throw readError(path, error);
  });
  if (info.isDirectory()) return { pixels: await readFrames(path) };
  if (VIDEOS.has(extname(path).toLowerCase())) {
    throw new UnsupportedError(`${path} is a video, which is written but not read back.`, {
      hint: 'Write the clip as .webp or as a folder of frames, which can be read.',
    });
  }
  return readPicture(path);
}

/** Reads a file that must hold a single image. */
export async function readImage(path: string): Promise<Image> {
  const { pixels } = await readMedia(path);
  const [first, ...others] = frames(pixels);
  if (others.length === 0) return first!;
  throw new UsageError(`${path} holds ${others.length + 1} frames where one picture is needed.`);
}

async function readFrames(folder: string): Promise<Media> {
  const byNumber = new Intl.Collator('en', { numeric: true });
  const names = (await readdir(folder)).filter(isPictureName).sort(byNumber.compare);
  if (names.length === 0) throw new IoError(`The folder ${folder} holds no pictures.`);
  const images: Image[] = [];
  for (const name of names) images.push(await readImage(join(folder, name)));
  return joinFrames(images);
}

async function readPicture(path: string): Promise<ReadMedia> {
  const sharp = await loadSharp();
  try {
    // Through a buffer: sharp would keep reading an old file of that name from its cache.
    const file = await readFile(path);
    const source = sharp(file, { pages: -1, limitInputPixels: MAX_PIXELS });
    const { pages = 1, delay, xmp } = await source.metadata();
    const upright = pages > 1 ? source : source.autoOrient();
    const flat = upright.toColourspace('srgb').flatten({ background: '#fff' });
    const { data, info } = await flat.raw().toBuffer({ resolveWithObject: true });
    const timing = xmp && timingFromXmp(xmp.toString('utf8'));
    if (pages === 1 && !timing) return { pixels: fromBytes(data, [info.height, info.width, 3]) };
    const stored = fromBytes(data, [pages, info.height / pages, info.width, 3]);
    return timing ? unmerged(stored, delay ?? [], timing) : { pixels: stored, fps: meanRate(delay) };
  } catch (error) {
    throw readError(path, error);
  }
}

/** Brings back equal neighbours that WebP merged into one long frame. */
function unmerged(stored: Media, delay: readonly number[], timing: { frames: number; fps: number }): ReadMedia {
  const pages = frames(stored);
  if (pages.length === timing.frames) return { pixels: stored, fps: timing.fps };
  let page = 0;
  let pageEnds = delay[0] ?? 0;
  let time = 0;
  const shown: Image[] = [];
  for (const milliseconds of frameDelays(timing.frames, timing.fps, 1)) {
    while (time >= pageEnds && page + 1 < pages.length) pageEnds += delay[++page] ?? 0;
    shown.push(pages[page]!);
    time += milliseconds;
  }
  return { pixels: joinFrames(shown), fps: timing.fps };
}

/** Frames per second of an animation, rounded as far as whole milliseconds allow. */
function meanRate(delay: readonly number[] | undefined): number | undefined {
  const total = delay?.reduce((sum, milliseconds) => sum + milliseconds, 0) ?? 0;
  return total > 0 ? Number(((1000 * delay!.length) / total).toFixed(2)) : undefined;
}
