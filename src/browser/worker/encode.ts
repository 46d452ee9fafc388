import encoder from '@jsquash/webp/codec/enc/webp_enc_simd.js';
import { defaultOptions } from '@jsquash/webp/meta.js';
import { UsageError } from '../../errors';
import { frames, isClip, type Media } from '../../media/pixels';
import { toXmp } from '../../media/xmp';
import { encodePng } from '../files/png';
import { type EncodeStill, encodeWebp } from '../files/webp';
import type { EncodedFile, FileFormat } from '../types';

/** How a file is written. */
export interface EncodeOptions {
  /** PNG for pictures and WebP for clips unless given. */
  readonly format?: FileFormat | undefined;
  readonly receipt?: unknown;
  /** Frames a second of a clip; 16 unless given. */
  readonly fps?: number | undefined;
}

/** A picture or a clip as a file without loss. @throws UsageError for a clip as PNG */
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
    return { bytes: await encodePng(stills[0]!, xmp), type: 'image/png', extension: '.png' };
  }
  if (format !== 'webp') throw new UsageError(`Files of the kind ${format} are not written: take png or webp.`);
  const timing = isClip(media) ? { frames: stills.length, fps } : {};
  const xmp = receipt === undefined && !isClip(media) ? undefined : toXmp({ receipt, ...timing });
  return { bytes: await encodeWebp(media, encodeStill, { fps, xmp }), type: 'image/webp', extension: '.webp' };
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
