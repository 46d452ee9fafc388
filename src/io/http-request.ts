import { CheckpointError, InterruptedError, IoError } from '../errors';

/** How files are asked of a server. */
export interface HttpOptions {
  /** Sent with every request, for example a token. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** When aborted, requests end with an InterruptedError. A function is asked at every request, for the one of that time. */
  readonly signal?: AbortSignal | (() => AbortSignal | undefined) | undefined;
  /** Takes the place of the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
}

/** The signal that stops a request which is made now. */
export function signalNow({ signal }: HttpOptions): AbortSignal | undefined {
  return typeof signal === 'function' ? signal() : signal;
}

/** The first and the last byte that are wanted. */
export type ByteRange = readonly [first: number, last: number];

/** How errors call an address: without what comes after `?`, which may hold keys. */
export function addressOf(url: string): string {
  return url.replace(/[?#].*$/s, '');
}

/**
 * Asks a server for an address, once.
 * @returns its answer, whatever it is, headers only so far
 * @throws IoError when there is no answer, InterruptedError
 */
export async function ask(
  url: string,
  options: HttpOptions,
  want: { readonly method?: string; readonly range?: ByteRange } = {},
): Promise<Response> {
  const { headers, fetch: fetched = fetch } = options;
  const { method = 'GET', range } = want;
  const signal = signalNow(options);
  try {
    return await fetched(url, {
      method,
      headers: { ...headers, ...(range && { Range: `bytes=${range[0]}-${range[1]}` }) },
      ...(signal && { signal }),
    });
  } catch (error) {
    throw brokenOff(url, error, signal);
  }
}

/** The error of a request that got no answer, or not all of it. */
export function brokenOff(url: string, cause: unknown, signal?: AbortSignal): Error {
  if (signal?.aborted) return new InterruptedError(`Interrupted while ${addressOf(url)} was read.`, signal.reason);
  return new IoError(`${addressOf(url)} could not be reached, or its server broke off.`, {
    hint: 'Check the address and the connection; in a browser, the server must allow the page to read it (CORS).',
    cause,
  });
}

/** Whether an answer says that there is no such file. */
export function isMissing({ status }: Response): boolean {
  return status === 404 || status === 410;
}

/** Whether an answer is a web page. Many servers answer so whatever they do not have, as if all were well. */
export function isPage({ headers }: Response): boolean {
  return /^\s*(text\/html|application\/xhtml)/i.test(headers.get('content-type') ?? '');
}

/** The error of an answer without the file. */
export function refusal(url: string, response: Response): IoError {
  const { status } = response;
  const name = addressOf(url);
  if (isMissing(response)) {
    return new IoError(`${name} does not exist (the server answers ${status}).`, { hint: 'Check the address.' });
  }
  if (status === 401 || status === 403) {
    return new IoError(`${name} may not be read (the server answers ${status}).`, {
      hint: 'Pass the headers that the server asks for, such as Authorization, or accept its terms of use.',
    });
  }
  if (response.ok && isPage(response)) {
    return new IoError(`${name} is answered with a web page, not with the file.`, {
      hint: 'The server answers so whatever it does not have, or asks for a login: check the address.',
    });
  }
  return new IoError(`${name} could not be read: the server answers ${status}.`, {
    hint: status >= 500 || status === 429 ? 'Try again later.' : 'Check the address.',
  });
}

/** The number of bytes that an answer says it has, where it says so of the bytes that are handed over. */
export function contentLength({ headers }: Response): number | undefined {
  const text = headers.get('content-length');
  const encoding = headers.get('content-encoding') ?? 'identity';
  return text !== null && /^\d+$/.test(text) && encoding === 'identity' ? Number(text) : undefined;
}

/** What `Content-Range` says; browsers hide it where the server does not expose it to the page. */
export function contentRange({ headers }: Response): { first?: number; total?: number } {
  const [, first, total] = /^bytes (?:(\d+)-\d+|\*)\/(?:(\d+)|\*)$/.exec(headers.get('content-range') ?? '') ?? [];
  return {
    ...(first !== undefined && { first: Number(first) }),
    ...(total !== undefined && { total: Number(total) }),
  };
}

/** Lets go of an answer whose bytes are not wanted. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {});
}

/**
 * Fills `target` with the bytes of an answer. When it fails, `target` is left alone.
 * @throws CheckpointError `truncated_data` when there are fewer or more of them, IoError, InterruptedError
 */
export async function readBody(url: string, response: Response, target: Uint8Array, signal?: AbortSignal) {
  let done = 0;
  for await (const chunk of chunksOf(url, response, signal)) {
    if (done + chunk.length > target.length) throw wrongLength(url, target.length, done + chunk.length);
    target.set(chunk, done);
    done += chunk.length;
  }
  if (done < target.length) throw wrongLength(url, target.length, done);
}

/** All bytes of an answer, whose number need not be known. @throws as `readBody` does */
export async function wholeBody(url: string, response: Response, limit: number, signal?: AbortSignal) {
  const expected = contentLength(response);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunksOf(url, response, signal)) {
    size += chunk.length;
    if (size > limit) throw needsRanges(url, limit);
    chunks.push(chunk);
  }
  if (expected !== undefined && expected !== size) throw wrongLength(url, expected, size);
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** The error of a large file on a server that only hands it over whole. */
export function needsRanges(url: string, limit: number): IoError {
  return new IoError(
    `${addressOf(url)} has more than ${limit} bytes, and its server hands it over in no smaller parts.`,
    { hint: 'Serve it from a server that answers range requests, or give the model in smaller files.' },
  );
}

/** Not by `for await` over the stream itself, which not every browser can. */
async function* chunksOf(url: string, response: Response, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(error => {
        throw brokenOff(url, error, signal);
      });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function wrongLength(url: string, expected: number, found: number): CheckpointError {
  const message = `${addressOf(url)} was answered with ${found} bytes${found > expected ? ' or more' : ''} in place of ${expected}.`;
  return new CheckpointError('truncated_data', message, {
    hint: 'The connection or a proxy cut the answer, or the file was changed: read the model again.',
  });
}
