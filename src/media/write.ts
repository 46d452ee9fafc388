import { rm } from 'node:fs/promises';
import { extname } from 'node:path';
import { UsageError } from '../errors';
import { stageFile, writeFileAtomic } from '../io/atomic';
import { encodeAnimatedWebp, encodeGif } from './animation';
import { writeFrames } from './frames';
import { encodeMp4 } from './mp4';
import { frames, isClip, joinFrames, type Media } from './pixels';
import { encodePng, encodeWebp } from './png';
import { receiptText, sidecarPath } from './receipt';

/** Forms in which pixels can be written. */
export type MediaFormat = 'png' | 'webp' | 'gif' | 'mp4' | 'frames';

/** How media is written. */
export interface WriteOptions {
  /** Frames per second of a clip; 16 unless given. */
  fps?: number;
  /** JSON that says how the picture was made, for `readReceipt`. */
  receipt?: unknown;
  /** 1 … 100; 100 is lossless in WebP. Unless given, still WebP is lossless and clips have 90. */
  quality?: number;
}

/**
 * The format that a name asks for: by its extension, or a folder of frames where it ends with a slash.
 * Throws a UsageError for any other name, so that a wrong one can be refused before the work is done.
 */
export function mediaFormat(path: string): MediaFormat {
  if (/[\\/]$/.test(path)) return 'frames';
  const extension = extname(path).toLowerCase();
  if (extension === '.png' || extension === '.webp' || extension === '.gif' || extension === '.mp4') {
    return extension.slice(1) as MediaFormat;
  }
  const fault = extension === '' ? 'has no extension' : `ends with ${extension}, which is not written`;
  throw new UsageError(`The output name ${path} ${fault}.`, {
    hint: 'Use .png or .webp for pictures, .mp4, .webp or .gif for clips, or a name ending with / for a frame folder.',
  });
}

/**
 * Writes an image or a clip in the format that `path` asks for. The name appears only when everything is written; a
 * failed write leaves what was there before. Missing folders are made.
 */
export async function writeMedia(path: string, media: Media, options: WriteOptions = {}): Promise<void> {
  const format = mediaFormat(path);
  checkOptions(options);
  if (format === 'frames') return writeFrames(path, media, options);
  const bytes = await encode(path, format, media, options);
  if (format === 'png' || format === 'webp') return writeFileAtomic(path, bytes);
  await writeWithSidecar(path, bytes, options.receipt);
}

/** The file and its receipt appear together; without a new receipt an old one must not stay and mislead. */
async function writeWithSidecar(path: string, bytes: Uint8Array, receipt: unknown): Promise<void> {
  const file = await stageFile(path, bytes);
  if (receipt === undefined) {
    await file.commit();
    await rm(sidecarPath(path), { force: true });
    return;
  }
  const sidecar = await stageFile(sidecarPath(path), receiptText(receipt)).catch(async error => {
    await file.discard();
    throw error;
  });
  await file.commit().catch(async error => {
    await sidecar.discard();
    throw error;
  });
  await sidecar.commit();
}

function encode(path: string, format: MediaFormat, media: Media, options: WriteOptions): Promise<Uint8Array> {
  const { fps = 16, quality, receipt } = options;
  const moving = isClip(media);
  if (format === 'png') {
    const stills = frames(media);
    if (stills.length === 1) return encodePng(stills[0]!, { receipt });
    throw new UsageError(`${path} would hold one picture, and the clip has ${stills.length} frames.`, {
      hint: 'Use .mp4, .webp or .gif, or a name ending with / for a frame folder.',
    });
  }
  if (format === 'webp' && !moving) return encodeWebp(media, { quality, receipt });
  const clip = moving ? media : joinFrames([media]);
  if (format === 'webp') return encodeAnimatedWebp(clip, { fps, quality, receipt });
  return format === 'gif' ? encodeGif(clip, { fps }) : encodeMp4(clip, { fps, quality });
}

function checkOptions({ fps = 16, quality = 90 }: WriteOptions): void {
  if (!(fps > 0 && fps <= 240)) {
    throw new UsageError(`A clip cannot be written at ${fps} frames per second.`, { hint: 'Give a rate up to 240.' });
  }
  if (!(quality >= 1 && quality <= 100)) {
    throw new UsageError(`The quality ${quality} is not between 1 and 100.`);
  }
}
