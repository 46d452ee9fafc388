/*
 * The hub's list of a repository's files. Plain HTTP: `@huggingface/hub` 2 begins a cut file anew, compares no checksum
 * and cannot be interrupted, and for the listing alone it would bring 12 MB of packages in place of twenty lines.
 */
import { z } from 'zod';
import { CheckpointError, IoError } from '../../errors';

/** Where the hub is, unless HF_ENDPOINT names a mirror. */
const HUB = 'https://huggingface.co';

export interface HubOptions {
  /** Address of the hub or of a mirror. */
  readonly endpoint?: string | undefined;
  /** Opens repositories that ask for a login. */
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The settings that the hub's tools share: HF_ENDPOINT and HF_TOKEN. */
export function hubSettings(env: NodeJS.ProcessEnv = process.env): HubOptions {
  const { HF_ENDPOINT: endpoint, HF_TOKEN: token } = env;
  return { ...(endpoint && { endpoint }), ...(token && { token }) };
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

const revisionInfo = z.object({ sha: z.string() });
const treeEntry = z.object({
  type: z.string(),
  path: z.string(),
  size: z.number().default(0),
  oid: z.string(),
  lfs: z.object({ oid: z.string(), size: z.number() }).optional(),
});

/** The address of something on the hub. */
export function hubAddress({ endpoint = HUB }: HubOptions, ...parts: readonly string[]): string {
  return [endpoint.replace(/\/+$/, ''), ...parts.map(part => part.split('/').map(encodeURIComponent).join('/'))].join(
    '/',
  );
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
  const info = hubAddress(options, 'api/models', name, 'revision', revision);
  const { sha: commit } = revisionInfo.parse(await (await request(info, options)).json());
  const files: HubFile[] = [];
  let page: string | undefined = `${hubAddress(options, 'api/models', name, 'tree', commit)}?recursive=true`;
  while (page) {
    const response = await request(page, options);
    for (const entry of z.array(treeEntry).parse(await response.json())) {
      if (entry.type === 'file') files.push(fileOf(entry));
    }
    page = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
  }
  return { name, commit, files };
}

function fileOf({ path, size, oid, lfs }: z.infer<typeof treeEntry>): HubFile {
  if (path.startsWith('/') || /(^|[\\/])\.\.([\\/]|$)/.test(path) || path.includes('\\')) {
    throw new CheckpointError('unsafe_path', `The repository holds the path "${path}", which leaves its folder.`, {
      hint: 'Take the model from another repository.',
    });
  }
  if (!lfs) return { path, size, digest: { kind: 'git', hex: oid } };
  return { path, size: lfs.size, digest: { kind: 'sha256', hex: lfs.oid.replace(/^sha256:/, '') } };
}

async function request(url: string, options: HubOptions): Promise<Response> {
  const { signal } = options;
  const response = await fetch(url, { headers: hubHeaders(options), ...(signal && { signal }) }).catch(cause => {
    signal?.throwIfAborted();
    throw new IoError(`${new URL(url).host} cannot be reached.`, {
      hint: 'Check the network, or name a mirror in HF_ENDPOINT.',
      cause,
    });
  });
  requireFound(response, url);
  return response;
}

/** @throws IoError saying what to do about it */
export function requireFound(response: Response, url: string): void {
  if (response.ok) return;
  const hints: Readonly<Record<number, string>> = {
    401: "Accept the model's licence on its page, then put an access token in HF_TOKEN.",
    403: "Accept the model's licence on its page, then put an access token in HF_TOKEN.",
    404: 'Check the name of the repository and of the revision.',
  };
  throw new IoError(`${url} was answered with ${response.status}.`, {
    hint: hints[response.status] ?? 'Try again later; what was downloaded is kept.',
  });
}
