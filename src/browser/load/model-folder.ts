import { atMost } from '../../io/at-most';
import { memoryFile } from '../../io/byte-file';
import { type Folder, fileIn } from '../../io/folder';
import { httpFolder } from '../../io/http-folder';
import { addressOf, type HttpOptions } from '../../io/http-request';
import { type Digest, MODEL_JSON, parseManifest } from '../../weights/manifest';
import { blobFile } from './blob-file';
import { addressKey, type FetchOptions, fetchBlob, fetchLatest, KEYS, keyedAddress } from './fetch-blob';
import type { Storage } from './storage';

/** How a model's files come, and who is told. */
export interface FolderOptions {
  readonly storage: Storage;
  /** The signal of the call that is under way: files are read after the folder is made, too. */
  readonly signal: () => AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A model's folder on a server, and what the browser keeps of it. */
export interface ModelFolder extends Folder {
  /** Size of all files; infinite where that is not known. */
  readonly bytes: number;
  /** Whether some files came from the browser's storage. */
  readonly isFromStorage: boolean;
  /** Keeps what was fetched. For when it is known to be intact: the files are checked as they are read. */
  keep(): Promise<void>;
  /** Forgets what is kept of it. */
  forget(): Promise<void>;
}

/** Requests that wait for an answer at a time. */
const AT_A_TIME = 6;

const contentKey = (sha256: string): string => `${KEYS}/sha256/${sha256}`;

/**
 * A model's files: of a converted model all that a pipeline needs, fetched at once, each known by its hash and so not
 * fetched again while it is the same; of any other model what is asked for, by range requests.
 */
export async function modelFolder(address: string, options: FolderOptions): Promise<ModelFolder> {
  const base = new URL(address);
  const urlOf = (path: string): string =>
    `${addressOf(base.href).replace(/\/+$/, '')}/${path.split('/').map(encodeURIComponent).join('/')}${base.search}`;
  const found = await fetchLatest(urlOf(MODEL_JSON), options.storage, options.signal());
  if (!found) return unkept(httpFolder(address, counting(options)));
  const manifest = new Uint8Array(await found.blob.arrayBuffer());
  const name = addressOf(base.href).replace(/\/+$/, '');
  const { shards, files } = parseManifest(new TextDecoder().decode(manifest), fileIn(name, MODEL_JSON));
  const here = await fetchAll([...shards, ...files], urlOf, manifest.length, options);
  const pathTo = (path: string): string => fileIn(name, path);
  return {
    name,
    pathTo,
    has: async path => path === MODEL_JSON || here.blobs.has(path),
    async open(path) {
      if (path === MODEL_JSON) return memoryFile(pathTo(path), manifest);
      const blob = here.blobs.get(path);
      return blob ? blobFile(pathTo(path), blob) : httpFolder(address, { signal: options.signal }).open(path);
    },
    bytes: here.total,
    isFromStorage: found.isKept || here.kept.size > 0,
    async keep() {
      const { storage } = options;
      const key = addressKey(urlOf(MODEL_JSON));
      const before = await hashesIn(await storage.get(key));
      await Promise.all([
        storage.put(key, found.blob),
        ...here.fetched.map(file => storage.put(contentKey(file.sha256), here.blobs.get(file.path)!)),
      ]);
      const now = new Set([...shards, ...files].map(file => file.sha256));
      await removeUnnamed(
        before.filter(sha256 => !now.has(sha256)),
        storage,
      );
    },
    async forget() {
      const { storage } = options;
      await Promise.all([
        storage.remove(addressKey(urlOf(MODEL_JSON))),
        ...[...here.kept].map(sha256 => storage.remove(contentKey(sha256))),
      ]);
    },
  };
}

/** What the manifest of a converted model names; nothing of one that is not there, or not of this version's kind. */
async function hashesIn(manifest: Blob | undefined): Promise<readonly string[]> {
  if (!manifest) return [];
  try {
    const { shards, files } = parseManifest(await manifest.text(), MODEL_JSON);
    return [...shards, ...files].map(file => file.sha256);
  } catch {
    return [];
  }
}

/** Removes files of an earlier version of a model, but for those that a model which is kept has too. */
async function removeUnnamed(hashes: readonly string[], storage: Storage): Promise<void> {
  if (hashes.length === 0) return;
  const manifests = (await storage.keys()).filter(key => keyedAddress(key)?.pathname.endsWith(`/${MODEL_JSON}`));
  const named = new Set((await Promise.all(manifests.map(async key => hashesIn(await storage.get(key))))).flat());
  await Promise.all(hashes.filter(sha256 => !named.has(sha256)).map(sha256 => storage.remove(contentKey(sha256))));
}

interface Fetched {
  readonly blobs: ReadonlyMap<string, Blob>;
  /** Hashes of those that came from the storage. */
  readonly kept: ReadonlySet<string>;
  readonly fetched: readonly Digest[];
  /** Bytes of all files. */
  readonly total: number;
}

async function fetchAll(
  files: readonly Digest[],
  urlOf: (path: string) => string,
  already: number,
  { storage, signal, onProgress }: FolderOptions,
): Promise<Fetched> {
  const total = already + files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = already;
  const onBytes = (count: number): void => {
    done += count;
    onProgress?.(done, total);
  };
  onBytes(0);
  const blobs = new Map<string, Blob>();
  const kept = new Set<string>();
  const fetched: Digest[] = [];
  const limited = atMost(AT_A_TIME);
  const http: FetchOptions = { signal: signal(), onBytes };
  const get = async (file: Digest): Promise<void> => {
    const own = await storage.get(contentKey(file.sha256));
    if (own?.size === file.bytes) {
      kept.add(file.sha256);
      blobs.set(file.path, own);
      onBytes(file.bytes);
      return;
    }
    blobs.set(file.path, await fetchBlob(urlOf(file.path), http, file.bytes));
    fetched.push(file);
  };
  await Promise.all(files.map(file => limited(() => get(file))));
  return { blobs, kept, fetched, total };
}

/** Tells of bytes as they come, where nobody knows how many there will be. */
function counting({ signal, onProgress }: FolderOptions): HttpOptions {
  if (!onProgress) return { signal };
  let done = 0;
  const counted: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    const { body } = response;
    if (!body || !response.ok) return response;
    const watched = body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          done += chunk.length;
          onProgress(done, 0);
          controller.enqueue(chunk);
        },
      }),
    );
    return new Response(watched, response);
  };
  return { signal, fetch: counted };
}

function unkept(folder: Folder): ModelFolder {
  return {
    ...folder,
    bytes: Number.POSITIVE_INFINITY,
    isFromStorage: false,
    keep: async () => {},
    forget: async () => {},
  };
}
