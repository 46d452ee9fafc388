import { CheckpointError, IoError } from '../errors';
import { type ByteFile, memoryFile, outside } from './byte-file';
import {
  addressOf,
  ask,
  contentLength,
  contentRange,
  discard,
  type HttpOptions,
  isMissing,
  isPage,
  needsRanges,
  readBody,
  refusal,
  signalNow,
  wholeBody,
} from './http-request';

/** The largest file that is read whole, from servers that answer no range requests. */
export const MAX_WHOLE = 2 ** 30;

/** What is known of a file that can be read in ranges. */
export interface RangedFile {
  readonly size: number;
  readonly version: Version;
}

/** What tells one version of a file from another, as far as its server says. */
interface Version {
  readonly etag: string | null;
  readonly modified: string | null;
}

/**
 * Opens a file of a server. Its first byte is asked for, which tells its size and whether it can be read in ranges; a
 * file that cannot is read whole, once. Every answer must be of the same version of the file and of the right length.
 * @param probed what `probe` found, where it was asked already
 * @throws IoError when it is not there, may not be read, or is too large to be read whole; InterruptedError
 */
export async function openHttpFile(
  url: string,
  options: HttpOptions = {},
  probed?: RangedFile | Response,
): Promise<ByteFile> {
  const found = probed ?? (await probe(url, options));
  if (isRanged(found)) return rangedFile(url, options, found);
  if (!found.ok || isPage(found)) {
    await discard(found);
    throw refusal(url, found);
  }
  if ((contentLength(found) ?? 0) > MAX_WHOLE) {
    await discard(found);
    throw needsRanges(url, MAX_WHOLE);
  }
  return memoryFile(addressOf(url), await wholeBody(url, found, MAX_WHOLE, signalNow(options)));
}

/**
 * Asks for the first byte of a file.
 * @returns what the file is; or else the answer, whose body the caller reads or discards: the whole file, where the
 *   server knows no ranges, or a refusal
 */
export async function probe(url: string, options: HttpOptions): Promise<RangedFile | Response> {
  const response = await ask(url, options, { range: [0, 0] });
  const { total } = contentRange(response);
  const isEmpty = response.status === 416 && total === 0;
  if (!isEmpty && (response.status !== 206 || isPage(response))) return response;
  await discard(response);
  return { size: total ?? (await sizeByHead(url, options)), version: versionOf(response) };
}

/** Tells what `probe` found apart. */
export function isRanged(found: RangedFile | Response): found is RangedFile {
  return 'version' in found;
}

function versionOf({ headers }: Response): Version {
  return { etag: headers.get('etag'), modified: headers.get('last-modified') };
}

/** By their marks, or by their dates where one has no mark; what does not say is taken to be the same. */
function isSame(a: Version, b: Version): boolean {
  if (a.etag !== null && b.etag !== null) return a.etag === b.etag;
  return a.modified === null || b.modified === null || a.modified === b.modified;
}

/** Whether an answer of `probe` says that there is the file. @throws IoError when it says neither that nor the contrary */
export async function isThere(url: string, found: RangedFile | Response): Promise<boolean> {
  if (isRanged(found)) return true;
  await discard(found);
  if (isMissing(found) || (found.ok && isPage(found))) return false;
  if (found.ok) return true;
  throw refusal(url, found);
}

/** For browsers that are not shown `Content-Range`. */
async function sizeByHead(url: string, options: HttpOptions): Promise<number> {
  const response = await ask(url, options, { method: 'HEAD' });
  const size = response.ok ? contentLength(response) : undefined;
  if (size !== undefined) return size;
  throw new IoError(`The server does not tell how large ${addressOf(url)} is.`, {
    hint: 'Let it send Content-Length, or expose Content-Range to pages (Access-Control-Expose-Headers).',
  });
}

function rangedFile(url: string, options: HttpOptions, { size, version }: RangedFile): ByteFile {
  const name = addressOf(url);

  async function readInto(begin: number, target: Uint8Array): Promise<void> {
    const end = begin + target.length;
    if (begin < 0 || end > size) throw outside(name, begin, end, size);
    if (target.length === 0) return;
    const signal = signalNow(options);
    const response = await ask(url, { ...options, signal }, { range: [begin, end - 1] });
    const fault = faultOf(response, begin);
    if (fault) {
      await discard(response);
      throw fault;
    }
    await readBody(url, response, target, signal);
  }

  function faultOf(response: Response, begin: number): Error | undefined {
    const { first = begin, total = size } = contentRange(response);
    const isOther = total !== size || !isSame(version, versionOf(response));
    if (isOther && (response.status === 206 || response.status === 416)) return changed(name);
    if (response.status === 206 && first === begin) return undefined;
    if (!response.ok || isPage(response)) return refusal(url, response);
    return new IoError(`The server answered other bytes of ${name} than it was asked for.`, {
      hint: 'It, or a proxy before it, does not keep to range requests: serve the model from another.',
    });
  }

  return {
    name,
    size,
    version: version.etag ?? version.modified ?? undefined,
    readInto,
    async read(begin, end) {
      const out = new Uint8Array(Math.max(0, end - begin));
      await readInto(begin, out);
      return out;
    },
    bypassCache() {},
    close: async () => {},
  };
}

function changed(name: string): CheckpointError {
  return new CheckpointError('truncated_data', `${name} was changed on its server while it was in use.`, {
    hint: 'Open the model again.',
  });
}
