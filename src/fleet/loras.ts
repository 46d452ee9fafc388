import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../errors';
import { writeFileAtomic } from '../io/atomic';
import { disk } from '../io/fs';
import { isFile } from '../io/node-file';
import { sha256 } from '../io/sha256';
import type { Piece } from '../server/jobs/order';
import { type LoraPath, loraAt } from '../weights/lora/on-disk';
import { type FleetJob, NAMES } from './job';
import type { FileStore } from './store/store';

/** A LoRA that a job names, and what goes into the store. */
export interface SentLora {
  readonly named: NonNullable<Piece['request']['loras']>[number] & { readonly sha256: string };
  readonly bytes: Uint8Array;
}

/** A LoRA of this machine, to be sent. @throws IoError where there is none, UsageError for a name that is none */
export async function loraToSend({ path, scale = 1, component }: LoraPath): Promise<SentLora> {
  const { file } = await loraAt({ path });
  if (!NAME.test(file)) {
    throw new UsageError(`The LoRA ${path} cannot be sent under its name.`, {
      hint: 'Call the file something of letters, digits, blanks, dots and dashes.',
    });
  }
  const bytes = await readFile((await isFile(path)) ? path : join(path, file));
  return { named: { path: file, sha256: sha256(bytes), scale, ...(component && { component }) }, bytes };
}

/** LoRAs of jobs, as files of this machine. */
export interface LoraFiles {
  /**
   * The LoRAs of a job under their names here, from the store where they are not here yet.
   * @throws Error saying which one is not in the store
   */
  of(job: FleetJob): Promise<Pick<Piece['request'], 'loras'>>;
  close(): Promise<void>;
}

/** Files that stay on disk beside those of the job at hand; the one that was not used for longest goes first. */
const MOST_FILES = 16;

/** What a LoRA may be called: receipts and errors have its name, and jobs come from outside. */
const NAME = /^(?!\.)[\w. -]{1,200}$/;

/** @throws Error for a name that cannot be that of a file here */
export function requireLoraName(name: string): string {
  if (NAME.test(name)) return name;
  throw new Error('A LoRA of the job has a name that is none of a file.');
}

/** Brings LoRAs into a folder of its own, which goes when it is closed. */
export function loraFiles(store: Pick<FileStore, 'get'>): LoraFiles {
  const folder = join(tmpdir(), `ertacache-loras-${randomUUID()}`);
  const held = new Map<string, Promise<string>>();

  async function bring(hash: string, name: string): Promise<string> {
    const bytes = await store.get(NAMES.lora(hash));
    if (!bytes || sha256(bytes) !== hash) throw new Error(`The LoRA ${name} is no longer in the store.`);
    const path = join(folder, hash, name);
    await writeFileAtomic(path, bytes);
    return path;
  }

  function fileOf(hash: string, given: string): Promise<string> {
    const name = requireLoraName(given);
    const key = `${hash}/${name}`;
    const file = held.get(key) ?? bring(hash, name);
    // Put in anew: the map is in the order of use.
    held.delete(key);
    held.set(key, file);
    file.catch(() => held.delete(key));
    return file;
  }

  function keep(most: number): void {
    for (const [key, file] of [...held].slice(0, Math.max(0, held.size - most))) {
      held.delete(key);
      file.then(path => disk.remove(path)).catch(() => {});
    }
  }

  return {
    async of({ piece }) {
      const { loras } = piece.request;
      if (!loras) return {};
      const here = loras.map(async lora => ({ ...lora, path: await fileOf(lora.sha256 ?? '', lora.path) }));
      keep(MOST_FILES + loras.length);
      return { loras: await Promise.all(here) };
    },
    async close() {
      await disk.remove(folder).catch(() => {});
    },
  };
}
