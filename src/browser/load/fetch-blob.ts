import { CheckpointError, ErtaError } from '../../errors';
import { ask, brokenOff, discard, type HttpOptions, isMissing, isPage, refusal } from '../../io/http-request';
import type { Storage } from './storage';

/** How a file is fetched, and who is told of its bytes as they come. */
export interface FetchOptions extends Pick<HttpOptions, 'fetch'> {
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((count: number) => void) | undefined;
}

/**
 * A whole file from a server.
 * @throws IoError when there is none, CheckpointError when it is not of `size` bytes, InterruptedError
 */
export async function fetchBlob(url: string, { onBytes, ...http }: FetchOptions, size?: number): Promise<Blob> {
  const response = await ask(url, http);
  if (!response.ok || isPage(response)) {
    await discard(response);
    throw refusal(url, response);
  }
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let found = 0;
  const reader = response.body?.getReader();
  try {
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      found += next.value.length;
      if (size !== undefined && found > size) break;
      chunks.push(next.value);
      onBytes?.(next.value.length);
    }
  } catch (error) {
    throw brokenOff(url, error, http.signal);
  } finally {
    await reader?.cancel().catch(() => {});
  }
  if (size === undefined || found === size) return new Blob(chunks);
  throw new CheckpointError(
    'truncated_data',
    `${url} has ${found} bytes${found > size ? ' or more' : ''}, not ${size}.`,
    { hint: 'The connection or a proxy cut the answer, or the file was changed: load the model again.' },
  );
}

/** A file that may change on its server. */
export interface Latest {
  readonly blob: Blob;
  /** Whether it is the one that was kept, since the server could not be reached. */
  readonly isKept: boolean;
}

/** Keys of the storage are addresses of no server. */
export const KEYS = 'https://ertacache.invalid';
const AT = `${KEYS}/at/`;

/** The key of what is known by its address alone. */
export const addressKey = (url: string): string => `${AT}${encodeURIComponent(url)}`;

/** The address that a key is of; nothing of other keys. */
export function keyedAddress(key: string): URL | undefined {
  return key.startsWith(AT) ? new URL(decodeURIComponent(key.slice(AT.length))) : undefined;
}

/**
 * A file as its server has it now, or as it was kept where the server cannot be reached.
 * @returns nothing where the server says that there is none
 * @throws IoError where it is neither to be had nor kept, InterruptedError
 */
export async function fetchLatest(
  url: string,
  storage: Storage,
  signal: AbortSignal | undefined,
): Promise<Latest | undefined> {
  let isMissed = false;
  const watched: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    isMissed = isMissing(response) || (response.ok && isPage(response));
    return response;
  };
  try {
    return { blob: await fetchBlob(url, { signal, fetch: watched }), isKept: false };
  } catch (error) {
    if (isMissed) return undefined;
    const kept = ErtaError.isInstance(error) && error.code === 'io' ? await storage.get(addressKey(url)) : undefined;
    if (kept) return { blob: kept, isKept: true };
    throw error;
  }
}
