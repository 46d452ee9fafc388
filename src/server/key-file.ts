import { UsageError } from '../errors';
import { readText } from '../io/node-file';

/** Bytes of a file of keys. */
const MOST = 1e6;
/** A key that can be guessed lets everybody in. */
const SHORTEST = 16;

/**
 * The API keys of a file, one a line; `#` begins a comment.
 * @throws UsageError for a file without keys, or with one that is too short
 */
export async function readKeys(path: string): Promise<string[]> {
  const lines = (await readText(path, MOST)).split(/\r?\n/).map(line => line.trim());
  const keys = lines.filter(line => line !== '' && !line.startsWith('#'));
  const fault = keys.length === 0 ? 'holds no API key' : keys.some(isWrong) ? 'holds a key that is no key' : undefined;
  if (fault === undefined) return keys;
  throw new UsageError(`${path} ${fault}.`, {
    hint: `Write one a line, of at least ${SHORTEST} characters without blanks: openssl rand -hex 32 makes one.`,
  });
}

const isWrong = (key: string): boolean => key.length < SHORTEST || !/^[\x21-\x7e]+$/.test(key);
