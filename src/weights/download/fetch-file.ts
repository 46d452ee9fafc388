import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { IoError } from '../../errors';
import { disk, syncFolder } from '../../io/fs';
import { contentLength, contentRange, discard, isPage } from '../../io/http-request';
import { ioError, isFile } from '../../io/node-file';
import { foreign, type HubFile, type HubOptions, hubHeaders, requireFound } from './repository';

export interface FetchOptions extends HubOptions {
  /** Bytes that have come since it was last called; those that a former run left count too. */
  readonly onBytes?: ((count: number) => void) | undefined;
  /** Connections in a row that bring nothing before it is given up. */
  readonly attempts?: number | undefined;
  /** Pause after a cut connection, doubled each time that nothing came. */
  readonly pauseMs?: number | undefined;
}

const ATTEMPTS = 6;
const PAUSE_MS = 500;

/**
 * What a file that is on its way is called: a name that only a download gives. It tells versions of the file apart, so
 * that none is completed with the bytes of another.
 */
export const partialPath = (path: string, { digest }: HubFile): string =>
  join(dirname(path), `.${basename(path)}.${digest.hex.slice(0, 16)}.download.partial`);

/** Whether the file is there, as the hub has it. */
export async function isFetched(path: string, file: HubFile): Promise<boolean> {
  return (await isFile(path)) && (await sizeOf(path)) === file.size && (await digestOf(path, file)) === file.digest.hex;
}

/**
 * Fetches one file. It is written under `partialPath` and gets its name when it is whole and its checksum right, so that
 * a full disk, a cut connection or Ctrl-C leave no half file under that name; the next run continues where this one ended.
 * @throws IoError when the hub does not answer, the checksum is wrong, or the disk is full
 */
export async function fetchFile(url: string, file: HubFile, path: string, options: FetchOptions = {}): Promise<void> {
  const partial = partialPath(path, file);
  await disk.mkdir(dirname(path)).catch(error => Promise.reject(ioError(path, error)));
  const left = await sizeOf(partial);
  if (left > file.size) await disk.unlink(partial);
  await fetchRest(url, file, partial, options);
  if ((await digestOf(partial, file)) !== file.digest.hex) {
    await disk.unlink(partial);
    options.onBytes?.(-file.size);
    // What a former run left may be spoilt: once more, from the start.
    if (left > 0) return fetchFile(url, file, path, options);
    throw new IoError(`${file.path} came with a wrong checksum, and was discarded.`, {
      hint: 'Try again; if it happens again, the mirror or a proxy on the way changes files.',
    });
  }
  try {
    await disk.rename(partial, path);
    await syncFolder(dirname(path));
  } catch (error) {
    throw ioError(path, error);
  }
}

/** Connects as often as it takes to bring `partial` to its full size. */
async function fetchRest(url: string, file: HubFile, partial: string, options: FetchOptions): Promise<void> {
  const { attempts = ATTEMPTS, pauseMs = PAUSE_MS, signal } = options;
  let have = await sizeOf(partial);
  if (have > 0) options.onBytes?.(have);
  let idle = 0;
  while (have < file.size || have === 0) {
    signal?.throwIfAborted();
    const cut = await fetchOnce(url, file, have, partial, options);
    const now = await sizeOf(partial);
    if (cut === undefined && now >= file.size) return;
    idle = now > have ? 0 : idle + 1;
    have = now;
    if (idle >= attempts) {
      throw new IoError(`${file.path} stopped at ${have} of ${file.size} bytes.`, {
        hint: 'Check the network and run the same command again: it continues where it stopped.',
        cause: cut,
      });
    }
    if (have < file.size) await wait(pauseMs * 2 ** idle, undefined, { ...(signal && { signal }) });
  }
}

/**
 * One connection, from byte `have` on. What is on disk never grows beyond the listed size.
 * @returns why it was cut, or undefined when the answer was whole
 * @throws IoError for an answer that is not the file
 */
async function fetchOnce(
  url: string,
  file: HubFile,
  have: number,
  partial: string,
  options: FetchOptions,
): Promise<unknown> {
  const { signal, onBytes, fetch: fetched = fetch } = options;
  const headers = { ...hubHeaders(options), ...(have > 0 && { range: `bytes=${have}-` }) };
  let response: Response;
  try {
    response = await fetched(url, { headers, ...(signal && { signal }) });
  } catch (error) {
    signal?.throwIfAborted();
    return error;
  }
  if (response.status >= 500 || response.status === 429) {
    await response.body?.cancel();
    return new IoError(`${url} was answered with ${response.status}.`);
  }
  requireFound(response, url);
  const resumed = have > 0 && response.status === 206;
  const fault = faultOf(url, response, file, resumed ? have : 0);
  if (fault) {
    await discard(response);
    throw fault;
  }
  // A server that cannot resume sends the file from its start.
  if (have > 0 && !resumed) onBytes?.(-have);
  const handle = await disk.open(partial, resumed ? 'a' : 'w').catch(error => Promise.reject(ioError(partial, error)));
  let written = resumed ? have : 0;
  try {
    const reader = response.body?.getReader();
    while (reader) {
      let next: ReadableStreamReadResult<Uint8Array>;
      try {
        next = await reader.read();
      } catch (error) {
        signal?.throwIfAborted();
        return error;
      }
      if (next.done || !next.value) break;
      written += next.value.length;
      if (written > file.size) {
        await reader.cancel().catch(() => {});
        await handle.truncate(0);
        throw wrongLength(file, `more than ${file.size} bytes`);
      }
      await disk.write(handle, next.value).catch(async error => {
        await reader.cancel().catch(() => {});
        throw ioError(partial, error);
      });
      onBytes?.(next.value.length);
    }
    await disk.sync(handle).catch(error => Promise.reject(ioError(partial, error)));
    return undefined;
  } finally {
    await handle.close();
  }
}

/** What is wrong with an answer, as far as its head tells. */
function faultOf(url: string, response: Response, file: HubFile, from: number): IoError | undefined {
  if (isPage(response)) return foreign(url, `a web page in place of ${file.path}`);
  const { first = from, total = file.size } = contentRange(response);
  if (total !== file.size) return wrongLength(file, `${total} bytes`);
  if (response.status === 206 && first !== from)
    return foreign(url, `other bytes of ${file.path} than it was asked for`);
  const length = contentLength(response);
  if (length !== undefined && from + length !== file.size) return wrongLength(file, `${from + length} bytes`);
  return undefined;
}

function wrongLength({ path, size }: HubFile, found: string): IoError {
  return new IoError(`${path} came with ${found}, and ${size} are listed.`, {
    hint: 'The mirror or a proxy on the way changes files: try again, or take another.',
  });
}

/** Size of a file, 0 where there is none. */
export async function sizeOf(path: string): Promise<number> {
  const info = await stat(path).catch(() => undefined);
  return info?.size ?? 0;
}

/** The digest of a file on disk, of the kind that the hub states. */
async function digestOf(path: string, { digest, size }: HubFile): Promise<string> {
  const hash: Hash = createHash(digest.kind === 'sha256' ? 'sha256' : 'sha1');
  if (digest.kind === 'git') hash.update(`blob ${size}\0`);
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}
