import { createReadStream } from 'node:fs';
import { sha256Stream } from './sha256';
import { readError } from './system-error';

/** SHA-256 of a file's bytes as hexadecimal, read in pieces. @throws IoError naming the file */
export async function fileHash(path: string): Promise<string> {
  const hash = sha256Stream();
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  } catch (error) {
    throw readError(path, error);
  }
  return hash.digest();
}
