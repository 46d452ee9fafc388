import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { ErtaError, IoError, UnsupportedError, UsageError } from '../errors';
import { requireText } from '../io/arguments';
import { readError } from '../io/system-error';
import { frameDelays } from './frame-delays';
import { requireReadable } from './limits';
import { type PictureFile, pictureFileOf, readPictureFile } from './picture-file';
import { frames, fromBytes, type Image, joinFrames, type Media } from './pixels';
import { loadSharp, MAX_PIXELS } from './sharp';
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
 * @throws UnsupportedError for a video file, an animated PNG, and a picture that is too large
 * @throws IoError for a file that is not there or cannot be read as a picture
 */
export async function readMedia(path: string): Promise<ReadMedia> {
  requireText('path', path, 'the name of a file or a folder');
  const info = await stat(path).catch(error => {
    throw readError(path, error);
  });
  if (info.isDirectory()) return { pixels: await readFrames(path) };
  if (VIDEOS.has(extname(path).toLowerCase())) {
    throw new UnsupportedError(`${path} is a video, which is written but not read back.`, {
      hint: 'Write the clip as .webp or as a folder of frames, which can be read.',
    });
  }
  return decode(path, await readPictureFile(path));
}

/**
 * Reads a file that must hold a single image.
 * @param side longest side at which it is read, shrunk while it is decoded; its own unless given
 * @throws UsageError when it holds several frames, before any of them is decoded
 */
export async function readImage(path: string, side?: number): Promise<Image> {
  await requireFile(path);
  return oneImage(path, await readPictureFile(path), side);
}

/** The same of a file's bytes. @param name how errors call them */
export async function imageOfBytes(name: string, bytes: Uint8Array, side?: number): Promise<Image> {
  return oneImage(name, await pictureFileOf(name, Buffer.from(bytes)), side);
}

async function oneImage(path: string, file: PictureFile, side: number | undefined): Promise<Image> {
  const count = Math.max(file.header.pages ?? 1, timingOf(file)?.frames ?? 1);
  if (count > 1) throw new UsageError(`${path} holds ${count} frames where one picture is needed.`);
  const { pixels } = await decode(path, file, side);
  return frames(pixels)[0]!;
}

async function requireFile(path: string): Promise<void> {
  const info = await stat(path).catch(error => {
    throw readError(path, error);
  });
  if (!info.isDirectory()) return;
  throw new UsageError(`${path} is a folder where one picture is needed.`, { hint: 'Give one of its files.' });
}

async function readFrames(folder: string): Promise<Media> {
  const byNumber = new Intl.Collator('en', { numeric: true });
  const names = (await readdir(folder)).filter(isPictureName).sort(byNumber.compare);
  if (names.length === 0) throw new IoError(`The folder ${folder} holds no pictures.`);
  requireReadable(folder, { width: 1, height: 1, frames: names.length });
  const images: Image[] = [];
  for (const name of names) {
    images.push(await readImage(join(folder, name)));
    const [height, width] = images[0]!.shape as [number, number];
    requireReadable(folder, { width, height, frames: names.length });
  }
  return joinFrames(images);
}

/** How long an animation was when it was written: only WebP merges frames. */
function timingOf({ header }: PictureFile): ReturnType<typeof timingFromXmp> {
  return header.format === 'webp' && header.xmp ? timingFromXmp(header.xmp.toString('utf8')) : undefined;
}

async function decode(path: string, file: PictureFile, side?: number): Promise<ReadMedia> {
  const { pages = 1, delay, width, height, pageHeight = height } = file.header;
  const timing = timingOf(file);
  requireReadable(path, { width, height: pageHeight, frames: Math.max(pages, timing?.frames ?? 1) });
  const sharp = await loadSharp();
  try {
    const source = sharp(file.bytes, { pages: -1, limitInputPixels: MAX_PIXELS });
    const upright = pages > 1 ? source : source.autoOrient();
    const sized =
      side === undefined || Math.max(width, height) <= side
        ? upright
        : upright.resize(side, side, { fit: 'inside', kernel: 'lanczos3' });
    const flat = sized.toColourspace('srgb').flatten({ background: '#fff' });
    const { data, info } = await flat.raw().toBuffer({ resolveWithObject: true });
    if (pages === 1 && !timing) return { pixels: fromBytes(data, [info.height, info.width, 3]) };
    const stored = fromBytes(data, [pages, info.height / pages, info.width, 3]);
    return timing ? unmerged(stored, delay ?? [], timing) : { pixels: stored, fps: meanRate(delay) };
  } catch (error) {
    throw ErtaError.isInstance(error) ? error : readError(path, error);
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
