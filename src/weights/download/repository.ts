/*
 * The hub's list of a repository's files. Plain HTTP: `@huggingface/hub` 2 begins a cut file anew, compares no checksum
 * and cannot be interrupted, and for the listing alone it would bring 12 MB of packages in place of twenty lines.
 */
import { z } from 'zod';
import { CheckpointError, IoError, UsageError } from '../../errors';
import { discard, isPage, wholeBody } from '../../io/http-request';
import { parsePlainJson } from '../../io/plain-json';
import { proxiedFetch } from './hub-fetch';
import { hubToken } from './hub-home';

/** Where the hub is, unless HF_ENDPOINT names a mirror. */
const HUB = 'https://huggingface.co';

export interface HubOptions {
  /** Address of the hub or of a mirror. */
  readonly endpoint?: string | undefined;
  /** Opens repositories that ask for a login. */
  readonly token?: string | undefined;
  /** Takes the place of the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The settings that the hub's tools share: HF_ENDPOINT, the token, and the proxy.
 * @throws UsageError for a token or a proxy that cannot be one
 */
export async function hubSettings(env: NodeJS.ProcessEnv = process.env): Promise<HubOptions> {
  const { HF_ENDPOINT: endpoint } = env;
  const token = hubToken(env);
  const fetch = await proxiedFetch(env);
  return { ...(endpoint && { endpoint }), ...(token && { token }), ...(fetch && { fetch }) };
}

/** One file of a repository, and how its content is known to be right. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 of large files, else the SHA-1 by which git knows a file. */
  readonly digest: { readonly kind: 'sha256' | 'git'; readonly hex: string };
}

export interface HubRepository {
  readonly name: string;
  /** The commit that the revision stands for: a download is of one commit, though a branch may move meanwhile. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const size = z.int().nonnegative();
const digest = z.string().regex(/^(sha256:)?([0-9a-f]{40}|[0-9a-f]{64})$/);
const revisionInfo = z.object({ sha: z.string().regex(/^[0-9a-f]{40,64}$/) });
const treeEntry = z.union([
  z.object({
    type: z.literal('file'),
    path: z.string().min(1),
    size: size.default(0),
    oid: digest,
    lfs: z.object({ oid: digest, size }).nullish(),
  }),
  // Folders, and what else may come.
  z.object({ type: z.string().refine(type => type !== 'file') }),
]);
type FileEntry = Extract<z.infer<typeof treeEntry>, { path: string }>;

/** The largest page of a list that is read, in bytes. */
const MOST_BYTES = 100_000_000;
/** Pages of a list: a thousand files each on the hub. */
const MOST_PAGES = 1000;

/**
 * The address of something on the hub. Slashes part folders; a part that is one name whatever it holds, such as a
 * revision, is encoded by `wholeName` first.
 * @throws UsageError for an endpoint that is no address
 */
export function hubAddress({ endpoint = HUB }: HubOptions, ...parts: readonly (string | WholeName)[]): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`HF_ENDPOINT is "${endpoint}", which is no address of a server.`, {
      hint: 'Write it whole, with https:// or http:// in front.',
    });
  }
  const encoded = parts.map(part =>
    typeof part === 'string' ? part.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(part.name),
  );
  return [endpoint.replace(/\/+$/, ''), ...encoded].join('/');
}

/** A name with slashes that part nothing: the hub's own client sends the revision `refs/pr/1` as `refs%2Fpr%2F1`. */
interface WholeName {
  readonly name: string;
}

export function hubHeaders({ token }: HubOptions): Record<string, string> {
  return token ? { authorization: `Bearer ${token}` } : {};
}

/**
 * Lists a repository.
 * @param name such as `owner/model`
 * @param revision a branch, a tag or a commit
 * @throws IoError when the hub cannot be reached or has no such repository
 */
export async function listRepository(name: string, revision: string, options: HubOptions = {}): Promise<HubRepository> {
  if (!/^[\w.-]+\/[\w.-]+$/.test(name)) {
    throw new IoError(`"${name}" is not the name of a repository.`, { hint: 'Name owner and model: owner/model.' });
  }
  const info = hubAddress(options, 'api/models', name, 'revision', { name: revision });
  const { sha: commit } = await answerOf(info, await request(info, options), revisionInfo, options);
  const files: HubFile[] = [];
  const seen = new Set<string>();
  let page: string | undefined = `${hubAddress(options, 'api/models', name, 'tree', commit)}?recursive=true`;
  for (let pages = 0; page !== undefined; pages++) {
    if (pages === MOST_PAGES) throw foreign(page, `a list of more than ${MOST_PAGES} pages`);
    if (seen.has(page)) throw foreign(page, 'a list that goes in a circle');
    seen.add(page);
    const response = await request(page, options);
    for (const entry of await answerOf(page, response, z.array(treeEntry), options)) {
      if ('path' in entry) files.push(fileOf(entry));
    }
    page = nextPage(page, response);
  }
  return { name, commit, files };
}

/** The address of the next page. @throws IoError for one on another server, to which the token would be sent */
function nextPage(page: string, response: Response): string | undefined {
  const link = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
  if (link === undefined) return undefined;
  const next = URL.canParse(link, page) ? new URL(link, page) : undefined;
  if (next) next.hash = '';
  if (next?.origin === new URL(page).origin) return next.href;
  throw foreign(page, 'a list that goes on on another server');
}

/** An answer in JSON. @throws IoError for a web page, or JSON of another form */
async function answerOf<T>(url: string, response: Response, schema: z.ZodType<T>, { signal }: HubOptions): Promise<T> {
  if (isPage(response)) {
    await discard(response);
    throw foreign(url, 'a web page');
  }
  const bytes = await wholeBody(url, response, MOST_BYTES, signal);
  let json: unknown;
  try {
    json = parsePlainJson(new TextDecoder().decode(bytes));
  } catch {
    throw foreign(url, 'something that is not JSON');
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw foreign(url, "JSON of another form than the hub's");
}

/** The error of a server that is not the hub, or stands before it. */
export function foreign(url: string, what: string): IoError {
  return new IoError(`${new URL(url).host} answered with ${what}.`, {
    hint: 'A proxy or a login page stands before the hub, or HF_ENDPOINT names another server: check it in a browser.',
  });
}

/** Whether a path leaves the folder that it is relative to, or may do so on some system. */
export const isOutside = (path: string): boolean =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: names that no model has
  path.startsWith('/') || /(^|[\\/])\.\.?([\\/]|$)|[\\\u0000-\u001f]/.test(path);

function fileOf({ path, size, oid, lfs }: FileEntry): HubFile {
  if (isOutside(path)) {
    throw new CheckpointError('unsafe_path', `The repository holds the path "${path}", which leaves its folder.`, {
      hint: 'Take the model from another repository.',
    });
  }
  if (!lfs) return { path, size, digest: { kind: 'git', hex: oid } };
  return { path, size: lfs.size, digest: { kind: 'sha256', hex: lfs.oid.replace(/^sha256:/, '') } };
}

export async function request(url: string, options: HubOptions): Promise<Response> {
  const { signal, fetch: fetched = fetch } = options;
  const response = await fetched(url, { headers: hubHeaders(options), ...(signal && { signal }) }).catch(cause => {
    signal?.throwIfAborted();
    throw new IoError(`${new URL(url).host} cannot be reached.`, {
      hint: unreachableHint(options),
      cause,
    });
  });
  requireFound(response, url);
  return response;
}

function unreachableHint({ fetch: proxied }: HubOptions): string {
  const way = proxied
    ? 'the proxy that HTTPS_PROXY or HTTP_PROXY names'
    : 'the network, HTTPS_PROXY if there is a proxy';
  return `Check ${way}, or name a mirror in HF_ENDPOINT.`;
}

/** @throws IoError saying what to do about it */
export function requireFound(response: Response, url: string): void {
  if (response.ok) return;
  const hints: Readonly<Record<number, string>> = {
    401: "Accept the model's licence on its page, then log in with `hf auth login` or put a token in HF_TOKEN.",
    403: "Accept the model's licence on its page, then log in with `hf auth login` or put a token in HF_TOKEN.",
    407: 'Put the name and the password of the proxy into its address: http://NAME:PASSWORD@HOST:PORT.',
    404: 'Check the name of the repository and of the revision.',
  };
  throw new IoError(`${url} was answered with ${response.status}.`, {
    hint: hints[response.status] ?? 'Try again later; what was downloaded is kept.',
  });
}
