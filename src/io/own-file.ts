import { lstat, readFile } from 'node:fs/promises';
import { UsageError } from '../errors';
import { systemCode, writeError } from './system-error';

/** Files of ours that are recognised by their content are small. */
const LARGEST = 2 ** 28;

/**
 * Refuses to replace what somebody else wrote.
 * @param path a file that need not be there
 * @param isOurs whether its bytes carry the mark of ertacache
 * @throws UsageError when it is there and they do not
 */
export async function requireOwn(path: string, isOurs: (bytes: Buffer) => boolean): Promise<void> {
  const info = await lstat(path).catch(error => {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw writeError(path, error);
  });
  if (!info || info.isDirectory()) return;
  if (info.size <= LARGEST && isOurs(await readFile(path).catch(error => Promise.reject(writeError(path, error)))))
    return;
  throw new UsageError(`${path} was not written by ertacache and is not replaced.`, {
    hint: 'Choose another name, or move that file.',
  });
}

/** A mark in a JSON file: a field with this value. */
export function hasJsonMark(bytes: Uint8Array, field: string, value: string): boolean {
  try {
    const json = JSON.parse(Buffer.from(bytes).toString('utf8')) as Readonly<Record<string, unknown>> | null;
    return json?.[field] === value;
  } catch {
    return false;
  }
}
