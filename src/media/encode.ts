import { ShapeError, UsageError } from '../errors';
import { requireObject, wrongArgument } from '../io/arguments';
import { encodeAnimatedWebp, encodeGif } from './animation';
import { encodeMp4 } from './mp4';
import { frameSize, frames, isClip, joinFrames, type Media } from './pixels';
import { encodePng } from './png';
import { requireRate } from './rate';
import { encodeJpeg, encodeWebp } from './stills';
import { toXmp } from './xmp';

/** Forms in which pixels can be written. */
export type MediaFormat = 'png' | 'jpeg' | 'webp' | 'gif' | 'mp4' | 'frames';

/** How media is written. */
export interface WriteOptions {
  /** Frames per second of a clip, up to 240, as GIF up to 50 and as WebP up to 90; 16 unless given. */
  fps?: number | undefined;
  /** JSON that says how the picture was made, for `readReceipt`. */
  receipt?: unknown | undefined;
  /** 1 … 100; 100 is lossless in WebP. Unless given, still WebP is lossless; JPEG and clips have 90. */
  quality?: number | undefined;
}

/** A format that is one file. */
export type FileFormat = Exclude<MediaFormat, 'frames'>;

const FORMATS: readonly FileFormat[] = ['png', 'jpeg', 'webp', 'gif', 'mp4'];

/** The longest side that a format has, in pixels. */
const MOST_SIDE: Partial<Record<MediaFormat, number>> = { webp: 16_383, jpeg: 65_535, gif: 65_535 };

/** @throws ShapeError for a picture that is larger than its format */
export function requireSides(format: MediaFormat, { height, width }: { height: number; width: number }): void {
  const most = MOST_SIDE[format] ?? Number.POSITIVE_INFINITY;
  if (Math.max(height, width) <= most) return;
  throw new ShapeError(
    `${format.toUpperCase()} has sides of ${most} pixels at most, and the picture is ${width}×${height}.`,
    {
      hint: 'Use .png, or make it smaller.',
    },
  );
}

/**
 * @param frames of the clip; 1 for a picture, undefined for a clip of a length that is not known yet
 * @throws UsageError for a format that holds one picture, where there are several
 */
export function requireRoom(format: MediaFormat, frames: number | undefined): void {
  if (frames === 1 || (format !== 'png' && format !== 'jpeg')) return;
  const clip = frames === undefined ? 'a clip is drawn' : `the clip has ${frames} frames`;
  throw new UsageError(`A ${format.toUpperCase()} file holds one picture, and ${clip}.`, {
    hint: 'Use .mp4, .webp or .gif, or a name ending with / for a frame folder.',
  });
}

/**
 * The bytes of a file. PNG, JPEG and WebP hold the receipt; that of GIF and MP4 goes into a file beside (`writeMedia`).
 * @param media a clip of one frame or a picture for PNG and JPEG; a picture becomes a clip of one frame for GIF and MP4
 * @param format which kind of file
 * @param options frame rate, quality and receipt
 * @returns the file's content
 * @throws UsageError for several frames as PNG or JPEG, and for a rate (of a GIF above 50, a WebP above 90, either below 1 / 65) or
 *   a quality out of range; ShapeError for sides of more than 16383 pixels as WebP, 65535 as JPEG and GIF
 * @example
 * const bytes = await encodeMedia(media, 'png', { receipt });
 * response.setHeader('content-type', 'image/png').end(bytes);
 */
export async function encodeMedia(media: Media, format: FileFormat, options: WriteOptions = {}): Promise<Uint8Array> {
  if (!FORMATS.includes(format)) throw wrongArgument('format', format, `one of ${FORMATS.join(', ')}`);
  checkWriteOptions(options);
  const { fps = 16, quality, receipt } = options;
  const moving = isClip(media);
  requireSides(format, frameSize(media));
  requireRate(format, moving || format === 'gif' ? fps : undefined);
  if (format === 'png' || format === 'jpeg') {
    const [still, ...others] = frames(media);
    requireRoom(format, 1 + others.length);
    return format === 'png' ? encodePng(still!, packet(receipt)) : encodeJpeg(still!, { quality, receipt });
  }
  if (format === 'webp' && !moving) return encodeWebp(media, { quality, receipt });
  const clip = moving ? media : joinFrames([media]);
  if (format === 'webp') return encodeAnimatedWebp(clip, { fps, quality, receipt });
  return format === 'gif' ? encodeGif(clip, { fps }) : encodeMp4(clip, { fps, quality });
}

const packet = (receipt: unknown): string | undefined => (receipt === undefined ? undefined : toXmp({ receipt }));

/** @throws UsageError for a rate or a quality out of range */
export function checkWriteOptions(options: WriteOptions): void {
  requireObject('options', options, 'an object');
  const { fps = 16, quality = 90 } = options;
  if (!(fps > 0 && fps <= 240)) {
    throw new UsageError(`A clip cannot be written at ${fps} frames per second.`, { hint: 'Give a rate up to 240.' });
  }
  if (!(quality >= 1 && quality <= 100)) {
    throw new UsageError(`The quality ${quality} is not between 1 and 100.`);
  }
}
