import { rm } from 'node:fs/promises';
import { extname } from 'node:path';
import { UsageError } from '../errors';
import { requireText } from '../io/arguments';
import { stageFile, writeFileAtomic } from '../io/atomic';
import { checkWriteOptions, encodeMedia, type MediaFormat, type WriteOptions } from './encode';
import { writeFrames } from './frames';
import type { Media } from './pixels';
import { receiptText, sidecarPath } from './receipt';

/**
 * The format that a name asks for: by its extension, or a folder of frames where it ends with a slash.
 * Throws a UsageError for any other name, so that a wrong one can be refused before the work is done.
 */
export function mediaFormat(path: string): MediaFormat {
  requireText('path', path, 'the name of a file or a folder');
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
  checkWriteOptions(options);
  if (format === 'frames') return writeFrames(path, media, options);
  const bytes = await encodeMedia(media, format, options);
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
