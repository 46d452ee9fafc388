import { UsageError } from '../errors';
import { atMost } from './at-most';
import type { Folder } from './folder';
import { isRanged, isThere, openHttpFile, probe, type RangedFile } from './http-file';
import { addressOf, type HttpOptions } from './http-request';

/** Requests that wait for an answer at a time: about what browsers allow, and servers do not mind. */
const AT_A_TIME = 8;

/**
 * A folder on a server, read by `fetch` with range requests. What comes after `?` in the address goes with every
 * file. The version of each file that was seen first is the one that is read: one that is changed later is refused,
 * so that no model is put together from two.
 * @param address the folder's, for example `https://example.org/models/fluent-emoji`
 * @param options headers, a signal to stop, and a `fetch` of your own
 * @returns the folder; nothing is requested yet
 * @throws UsageError for what is no address
 * @example
 * const model = await openModel(httpFolder('https://example.org/models/fluent-emoji'));
 */
export function httpFolder(address: string, options: HttpOptions = {}): Folder {
  const base = parsed(address);
  const name = addressOf(base.href).replace(/\/+$/, '');
  const pathTo = (path: string): string => `${name}/${path.split('/').map(encodeURIComponent).join('/')}`;
  const urlOf = (path: string): string => pathTo(path) + base.search;
  const limited = atMost(AT_A_TIME);
  const fetched: typeof fetch = (...request) => limited(() => (options.fetch ?? fetch)(...request));
  const own: HttpOptions = { ...options, fetch: fetched };
  const known = new Map<string, RangedFile>();

  async function find(path: string): Promise<RangedFile | Response> {
    const found = known.get(path) ?? (await probe(urlOf(path), own));
    if (isRanged(found)) known.set(path, found);
    return found;
  }

  return {
    name,
    pathTo,
    has: async path => isThere(urlOf(path), await find(path)),
    open: async path => openHttpFile(urlOf(path), own, await find(path)),
  };
}

function parsed(address: string): URL {
  // A page may give an address of its own server.
  const { location } = globalThis as { location?: { href: string } };
  const url = URL.canParse(address, location?.href) ? new URL(address, location?.href) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new UsageError(`${address} is not the address of a folder on a server.`, {
    hint: 'Give it whole, for example https://example.org/models/fluent-emoji.',
  });
}
