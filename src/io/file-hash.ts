import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { IoError } from '../errors';
import { sha256Stream } from './sha256';
import { readError } from './system-error';

/**
 * SHA-256 of a file's bytes as hexadecimal, read in pieces.
 * @param most bytes that the file may have; any number by default
 * @throws IoError naming the file, when it is not there, too large or, as a pipe or a device, might never end
 */
export async function fileHash(path: string, most = Number.POSITIVE_INFINITY): Promise<string> {
  const hash = sha256Stream();
  try {
    const info = await stat(path);
    if (!info.isFile()) {
      throw new IoError(`${path} is not a file.`, { hint: 'Give a file; a pipe or a device may never end.' });
    }
    if (info.size > most) {
      throw new IoError(`${path} has ${info.size} bytes, and at most ${most} are read.`, {
        hint: 'Give a smaller file.',
      });
    }
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  } catch (error) {
    throw error instanceof IoError ? error : readError(path, error);
  }
  return hash.digest();
}
