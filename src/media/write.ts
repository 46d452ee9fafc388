import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { UsageError } from '../errors';
import { requireText } from '../io/arguments';
import { commitAll, stageFile, writeFileAtomic } from '../io/atomic';
import { isFile } from '../io/node-file';
import { requireOwn } from '../io/own-file';
import { requireWritable } from '../io/writable';
import { checkWriteOptions, encodeMedia, type MediaFormat, type WriteOptions } from './encode';
import { requireReplaceableFrames, writeFrames } from './frames';
import type { Media } from './pixels';
import { isSidecar, sidecarPath, sidecarText } from './receipt';

/**
 * The format that a name asks for: by its extension, or a folder of frames where it ends with a slash.
 * Throws a UsageError for any other name, so that a wrong one can be refused before the work is done.
 */
export function mediaFormat(path: string): MediaFormat {
  requireText('path', path, 'the name of a file or a folder');
  if (/[\\/]$/.test(path)) return 'frames';
  const extension = extname(path).toLowerCase();
  if (extension === '.jpg' || extension === '.jpeg') return 'jpeg';
  if (extension === '.png' || extension === '.webp' || extension === '.gif' || extension === '.mp4') {
    return extension.slice(1) as MediaFormat;
  }
  const fault = extension === '' ? 'has no extension' : `ends with ${extension}, which is not written`;
  throw new UsageError(`The output name ${path} ${fault}.`, {
    hint: 'Use .png, .jpg or .webp for pictures, .mp4, .webp or .gif for clips, or a name ending with / for a frame folder.',
  });
}

/**
 * Writes an image or a clip in the format that `path` asks for. The name appears only when everything is written; a
 * failed write leaves what was there before. Missing folders are made.
 * @param path ends in `.png`, `.jpg`, `.webp`, `.gif` or `.mp4`, or in `/` for a folder of frames
 * @param media `[H, W, 3]` or `[F, H, W, 3]`, values in [0, 1]
 * @param options frame rate, quality and receipt; GIF and MP4 have the receipt in `NAME.json` beside them
 * @throws UsageError for another extension, several frames as PNG or JPEG, a rate (of a GIF above 50) or a quality out of
 *   range
 * @throws IoError when the file cannot be written
 */
export async function writeMedia(path: string, media: Media, options: WriteOptions = {}): Promise<void> {
  const format = mediaFormat(path);
  checkWriteOptions(options);
  if (format === 'frames') return writeFrames(path, media, options);
  const bytes = await encodeMedia(media, format, options);
  if (format === 'gif' || format === 'mp4') return writeWithSidecar(path, bytes, options.receipt);
  await writeFileAtomic(path, bytes);
}

/**
 * Tries whether media could be written under this name.
 * @throws UsageError or IoError saying why it could not: the name, the disk, or a file there that is not ertacache's
 */
export async function requireMediaWritable(path: string): Promise<void> {
  const format = mediaFormat(path);
  if (format === 'frames') return requireReplaceableFrames(path);
  await requireWritable(path);
  if (format === 'gif' || format === 'mp4') await requireOwn(sidecarPath(path), isSidecar);
}

/**
 * The file and its receipt appear together; without a new receipt an old one must not stay and mislead. A run that is
 * killed between the two leaves a receipt without its file, or a file without its receipt, never two that do not belong
 * together.
 */
async function writeWithSidecar(path: string, bytes: Uint8Array, receipt: unknown): Promise<void> {
  const beside = sidecarPath(path);
  if (receipt !== undefined) await requireOwn(beside, isSidecar);
  const old = await readFile(beside).catch(() => undefined);
  const outdated = old && isSidecar(old) ? [{ path: beside }] : [];
  const file = await stageFile(path, bytes);
  if (receipt === undefined) return commitAll(path, [...outdated, file]);
  const sidecar = await stageFile(beside, sidecarText(receipt)).catch(async error => {
    await file.discard();
    throw error;
  });
  const isNew = !(await isFile(path));
  await commitAll(path, isNew ? [sidecar, file] : [...outdated, file, sidecar]);
}
