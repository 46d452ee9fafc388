/** What the browser keeps of models, between visits: files by their content's hash, and what has none by address. */
const NAME = 'ertacache-models-1';

/** Where the browser keeps files; nothing where it keeps none, as in private windows and on insecure pages. */
async function opened(): Promise<Cache | undefined> {
  try {
    return await globalThis.caches?.open(NAME);
  } catch {
    return undefined;
  }
}

/** Files that are kept between visits. A browser that refuses to keep one is no reason to fail. */
export interface Storage {
  get(key: string): Promise<Blob | undefined>;
  put(key: string, content: Blob): Promise<void>;
  remove(key: string): Promise<void>;
  /** Keys of all that is kept. */
  keys(): Promise<readonly string[]>;
}

/** The browser's storage; one that keeps nothing where there is none. */
export async function openStorage(): Promise<Storage> {
  const cache = await opened();
  return {
    get: async key => (await cache?.match(key))?.blob(),
    // Full, or forbidden by the user: the next visit fetches again.
    put: async (key, content) => void (await cache?.put(key, new Response(content)).catch(() => {})),
    remove: async key => void (await cache?.delete(key)),
    keys: async () => ((await cache?.keys()) ?? []).map(({ url }) => url),
  };
}

/** One that keeps nothing. */
export const noStorage: Storage = {
  get: async () => undefined,
  put: async () => {},
  remove: async () => {},
  keys: async () => [],
};

/** Removes what the browser keeps of models, of all pages of this origin. */
export async function purge(): Promise<void> {
  await globalThis.caches?.delete(NAME);
}
