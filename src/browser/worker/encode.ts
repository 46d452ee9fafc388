import encoder from '@jsquash/webp/codec/enc/webp_enc_simd.js';
import { defaultOptions } from '@jsquash/webp/meta.js';
import { UnsupportedError, UsageError } from '../../errors';
import { wrongArgument } from '../../io/arguments';
import { withXmpBox } from '../../media/mp4-xmp';
import { frameSize, frames, isClip, type Media } from '../../media/pixels';
import { encodePng } from '../../media/png';
import { requireRate } from '../../media/rate';
import { toXmp } from '../../media/xmp';
import type { PipelineInfo } from '../../sampling/pipeline';
import { encodesH264 } from '../detect';
import { type EncodeStill, encodeWebp } from '../files/webp';
import type { Wanted } from '../protocol';
import type { EncodedFile, FileFormat, Form } from '../types';

/** How a file is written. */
export interface EncodeOptions {
  /** PNG for pictures and WebP for clips unless given. */
  readonly format?: FileFormat | undefined;
  readonly receipt?: unknown;
  /** Frames a second of a clip; 16 unless given. */
  readonly fps?: number | undefined;
}

/**
 * A picture or a clip as a file: PNG and WebP without loss.
 * @throws UsageError for a clip as PNG, a picture as MP4 and a rate that a WebP cannot have, UnsupportedError where the browser encodes no such video
 */
export async function encodeFile(media: Media, options: EncodeOptions): Promise<EncodedFile> {
  const { format = isClip(media) ? 'webp' : 'png', receipt, fps = 16 } = options;
  const stills = frames(media);
  if (format === 'png') {
    if (stills.length > 1) {
      throw new UsageError(`A PNG file holds one picture, and the clip has ${stills.length} frames.`, {
        hint: 'Write it as WebP.',
      });
    }
    const xmp = receipt === undefined ? undefined : toXmp({ receipt });
    return { bytes: encodePng(stills[0]!, xmp), type: 'image/png', extension: '.png' };
  }
  if (format !== 'webp' && format !== 'mp4') throw unknownFormat(format);
  const timing = isClip(media) ? { frames: stills.length, fps } : {};
  const xmp = receipt === undefined && !isClip(media) ? undefined : toXmp({ receipt, ...timing });
  if (isClip(media)) requireRate(format, fps);
  if (format === 'mp4') return { bytes: await mp4Of(media, fps, xmp), type: 'video/mp4', extension: '.mp4' };
  return { bytes: await encodeWebp(media, encodeStill, { fps, xmp }), type: 'image/webp', extension: '.webp' };
}

const FORMS: readonly Form[] = ['pixels', 'bitmap', 'file'];
const FORMATS: readonly FileFormat[] = ['png', 'webp', 'mp4'];

/**
 * Refuses, before anything is drawn, what a result of a model cannot be handed over as.
 * @param frames that are asked for, where they are
 * @throws UsageError, and UnsupportedError where the browser encodes no video
 */
export async function requireWanted(
  { as, format }: Wanted,
  { kind, size }: PipelineInfo,
  frames = size?.frames,
): Promise<void> {
  if (!FORMS.includes(as)) throw wrongArgument('as', as, 'pixels, bitmap or file');
  if (as !== 'file' || format === undefined) return;
  if (!FORMATS.includes(format)) throw unknownFormat(format);
  if (kind === 'image') {
    if (format === 'mp4') throw pictureAsMp4();
    return;
  }
  if (format === 'png' && frames !== 1) {
    throw new UsageError('A PNG file holds one picture, and the model draws clips.', { hint: 'Write them as WebP.' });
  }
  if (format === 'mp4' && !(await encodesH264())) throw noVideo('');
}

function unknownFormat(format: string): UsageError {
  return new UsageError(`Files of the kind ${format} are not written: take png, webp or mp4.`);
}

function pictureAsMp4(): UsageError {
  return new UsageError('An MP4 file holds a clip, and this is a picture.', { hint: 'Write it as PNG or WebP.' });
}

function noVideo(size: string): UnsupportedError {
  return new UnsupportedError(`This browser encodes no H.264 video${size}.`, {
    hint: 'Write the clip as WebP, which every browser can.',
  });
}

/** As bundlers understand it: the script is found, and loaded when a clip is to be MP4. */
const MP4 = new URL('./mp4.mjs', import.meta.url).href;

async function mp4Of(media: Media, fps: number, xmp: string | undefined): Promise<Uint8Array<ArrayBuffer>> {
  if (!isClip(media)) throw pictureAsMp4();
  const { encodeMp4 } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ MP4)) as typeof import('./mp4');
  const file = typeof VideoEncoder === 'undefined' ? undefined : await encodeMp4(media, fps);
  if (file) return xmp === undefined ? file : withXmpBox(file, xmp);
  const { width, height } = frameSize(media);
  throw noVideo(` of ${width} × ${height} pixels`);
}

/** Colours are kept as they are, and also where a picture is clear. */
const LOSSLESS = { ...defaultOptions, lossless: 1, exact: 1 };

let started: ReturnType<typeof encoder> | undefined;

/** libwebp, started when it is first needed. */
const encodeStill: EncodeStill = async (rgba, width, height) => {
  started ??= encoder({ noInitialRun: true });
  const { encode } = await started;
  const file = encode(rgba as unknown as BufferSource, width, height, LOSSLESS);
  if (!file) throw new Error('The WebP encoder failed.');
  return file;
};
