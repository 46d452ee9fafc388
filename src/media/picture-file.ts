import { readFile, stat } from 'node:fs/promises';
import type { Metadata } from 'sharp';
import { IoError, UnsupportedError } from '../errors';
import { readError } from '../io/system-error';
import { isAnimatedPng } from './apng';
import { LIMITS } from './limits';
import { loadSharp } from './sharp';

/** A picture's file in memory, of which only the header has been looked at. */
export interface PictureFile {
  readonly bytes: Buffer;
  readonly header: Metadata;
}

/**
 * Reads a picture's file and its header. Nothing is decoded: a small file may say that it holds a huge picture.
 * @throws IoError for what is not a file, such as a pipe, that is too large, or that is no picture; UnsupportedError for
 *   an animated PNG, of which only the first frame would be seen
 */
export async function readPictureFile(path: string): Promise<PictureFile> {
  return pictureFileOf(path, await boundedFile(path));
}

/** The same of a file's bytes. @param path how errors call them */
export async function pictureFileOf(path: string, bytes: Buffer): Promise<PictureFile> {
  if (isAnimatedPng(bytes)) {
    throw new UnsupportedError(`${path} is an animated PNG, of which only the first frame could be read.`, {
      hint: 'Bring it into the form of an animated WebP or GIF.',
    });
  }
  const sharp = await loadSharp();
  try {
    // Through a buffer: sharp would keep reading an old file of that name from its cache.
    return { bytes, header: await sharp(bytes, { pages: -1, limitInputPixels: false }).metadata() };
  } catch (error) {
    throw readError(path, error);
  }
}

async function boundedFile(path: string): Promise<Buffer> {
  const info = await stat(path).catch(error => {
    throw readError(path, error);
  });
  // A folder is told as such by reading it; a pipe or a device may never end.
  if (!info.isFile() && !info.isDirectory()) {
    throw new IoError(`${path} is not a file, and a picture is read from one.`, { hint: 'Write it to a file first.' });
  }
  if (info.size > LIMITS.bytes) {
    throw new IoError(`${path} has ${info.size} bytes, and pictures are read up to ${LIMITS.bytes} bytes.`, {
      hint: 'Make it smaller first.',
    });
  }
  return readFile(path).catch(error => {
    throw readError(path, error);
  });
}
