import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic';
import { disk } from '../io/fs';
import { sha256 } from '../io/sha256';
import { leftovers, stagedName } from '../io/staged';
import type { NamedFile } from '../server/workers/far-target';
import { PEFT_CONFIG } from '../weights/lora/adapter';
import { NAMES } from './job';
import { isBesideConfig, loraHash, requireFileName } from './sent-files';
import type { FileStore } from './store/store';

/** The files that a job or a part names. */
export interface NamedFiles {
  /** One without a hash was not sent. */
  readonly loras?: { path: string; sha256?: string | undefined }[] | undefined;
  readonly transformer?: NamedFile | undefined;
  readonly transformer2?: NamedFile | undefined;
  readonly lpips?: NamedFile | undefined;
}

/** Files of weights that were sent, as files of this machine. */
export interface FilesHere {
  /**
   * The same with their paths here, from the store where they are not here yet.
   * @throws Error saying which one is not in the store
   */
  of<Named extends NamedFiles>(named: Named): Promise<Named>;
  close(): Promise<void>;
}

/** Files that stay on disk beside those of the job at hand; the one that was not used for longest goes first. */
const MOST_LORAS = 16;
const MOST_WEIGHTS = 2;

/** How often a folder says that it is in use, for machines that share it, in milliseconds. */
const SIGN_MS = 60_000;

const HASH = /^[0-9a-f]{64}$/;

type Bring = (folder: string, name: string, hash: string) => Promise<string>;

/**
 * Brings files into a folder of its own in the temporary one, which goes when it is closed. Those of workers that were
 * killed are removed first.
 * @param place where the folder is made
 */
export function filesHere(store: Pick<FileStore, 'get' | 'requireMark'>, place = tmpdir()): FilesHere {
  const name = join(place, 'ertacache-weights');
  const folder = stagedName(name, 'new');
  const cleared = leftovers(name)
    .then(left => Promise.all(left.map(({ path }) => disk.remove(path))))
    .catch(() => {});
  const timer = setInterval(() => void disk.touch(folder).catch(() => {}), SIGN_MS).unref();

  const get = async (stored: string, called: string): Promise<Uint8Array> => {
    const bytes = await store.get(stored);
    if (bytes) return bytes;
    // What is not in another place may well be in the store.
    await store.requireMark?.();
    throw new Error(`${called} is no longer in the store.`);
  };
  const loras = shelfOf(folder, async (at, called, hash) => {
    const bytes = await get(NAMES.lora(hash), `The LoRA ${called}`);
    const config = isBesideConfig(called) ? await store.get(NAMES.loraConfig(hash)) : undefined;
    if (loraHash(bytes, config) !== hash) throw new Error(`The LoRA ${called} in the store is another one.`);
    if (config) await writeFileAtomic(join(at, PEFT_CONFIG), config);
    await writeFileAtomic(join(at, called), bytes);
    return join(at, called);
  });
  const weights = shelfOf(folder, async (at, called, hash) => {
    const bytes = await get(NAMES.weights(hash), `The file ${called}`);
    if (sha256(bytes) !== hash) throw new Error(`The file ${called} in the store is another one.`);
    await writeFileAtomic(join(at, called), bytes);
    return join(at, called);
  });

  return {
    async of(named) {
      const { transformer, transformer2, lpips } = named;
      const own = named.loras?.map(async lora => ({ ...lora, path: await loras.path(lora.path, lora.sha256) }));
      const others = Object.entries({ transformer, transformer2, lpips }).flatMap(([key, file]) =>
        file ? [weights.path(file.path, file.sha256).then(path => [key, { ...file, path }] as const)] : [],
      );
      loras.keep(MOST_LORAS + (own?.length ?? 0));
      weights.keep(MOST_WEIGHTS + others.length);
      const [brought, rest] = await Promise.all([own && Promise.all(own), Promise.all(others)]);
      return { ...named, ...(brought && { loras: brought }), ...Object.fromEntries(rest) };
    },
    async close() {
      clearInterval(timer);
      await cleared;
      await disk.remove(folder).catch(() => {});
    },
  };
}

/** Files by their content and name, in the order of their use. */
function shelfOf(folder: string, bring: Bring) {
  const held = new Map<string, Promise<string>>();
  return {
    async path(given: string, hash = ''): Promise<string> {
      const name = requireFileName(given);
      if (!HASH.test(hash)) throw new Error(`The file ${name} of the job is not named by its content.`);
      const key = `${hash}/${name}`;
      const file = held.get(key) ?? bring(join(folder, hash), name, hash);
      // Put in anew: the map is in the order of use.
      held.delete(key);
      held.set(key, file);
      file.catch(() => held.delete(key));
      return file;
    },
    /** Removes all but so many. */
    keep(most: number): void {
      for (const [key, file] of [...held].slice(0, Math.max(0, held.size - most))) {
        held.delete(key);
        file.then(path => disk.remove(path)).catch(() => {});
      }
    },
  };
}
