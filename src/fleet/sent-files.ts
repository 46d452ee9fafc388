import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { IoError, UsageError } from '../errors';
import { isFile } from '../io/node-file';
import { sha256 } from '../io/sha256';
import type { FarTarget, NamedFile } from '../server/workers/far-target';
import { openAdapter, PEFT_CONFIG, PEFT_WEIGHTS } from '../weights/lora/adapter';
import { type LoraPath, loraAt } from '../weights/lora/on-disk';
import { NAMES } from './job';
import type { FileStore } from './store/store';

/** A LoRA as jobs and parts name it. */
export type NamedLora = NonNullable<FarTarget['loading']['loras']>[number];

/** A file of weights of this machine, and what goes into the store. */
export interface SentFile<Named extends NamedFile = NamedFile> {
  readonly named: Named;
  /** By their names in the store. */
  readonly files: readonly (readonly [name: string, bytes: Uint8Array])[];
}

/** What a file of weights may be called: receipts and errors have its name, and jobs come from outside. */
const NAME = /^(?!\.)[\w. -]{1,200}$/;

/** A file is sent in one piece, and larger ones are not read in one. */
const MOST_BYTES = 2 ** 31 - 1;

/** @throws Error for a name that cannot be that of a file here */
export function requireFileName(name: string): string {
  if (NAME.test(name)) return name;
  throw new Error('A file of the job has a name that is none of a file.');
}

/** A LoRA of this machine, to be sent. @throws IoError where there is none, UsageError for one that cannot be sent */
export async function loraToSend({ path, scale = 1, component }: LoraPath): Promise<SentFile<NamedLora>> {
  const lora = await loraAt({ path });
  const file = (await isFile(path)) ? path : join(path, lora.file);
  const bytes = await bytesToSend(file);
  const adapter = await openAdapter(lora);
  const hash = await adapter.hash().finally(() => adapter.source.close());
  // Where the hash is not that of the file, it is that of the file and of what peft says beside it.
  const config = hash === sha256(bytes) ? undefined : await readFile(join(dirname(file), PEFT_CONFIG));
  return {
    named: { path: lora.file, sha256: hash, scale, ...(component && { component }) },
    files: [[NAMES.lora(hash), bytes], ...(config ? [[NAMES.loraConfig(hash), config] as const] : [])],
  };
}

/** Weights of this machine, to be sent. @throws IoError where there are none, UsageError for a file that cannot be sent */
export async function weightsToSend(path: string): Promise<SentFile> {
  const bytes = await bytesToSend(path);
  const hash = sha256(bytes);
  return { named: { path: basename(path), sha256: hash }, files: [[NAMES.weights(hash), bytes]] };
}

/** The same of several, by their names; those that are not given are left out. */
export async function weightsByName<Name extends string>(
  paths: Readonly<Record<Name, string | undefined>>,
): Promise<Partial<Record<Name, SentFile>>> {
  const given = (Object.entries(paths) as [Name, string | undefined][]).flatMap(([name, path]) =>
    path === undefined ? [] : [weightsToSend(path).then(file => [name, file] as const)],
  );
  return Object.fromEntries(await Promise.all(given)) as Partial<Record<Name, SentFile>>;
}

async function bytesToSend(path: string): Promise<Uint8Array> {
  if (!NAME.test(basename(path))) {
    throw new UsageError(`The file ${path} cannot be sent under its name.`, {
      hint: 'Call it something of letters, digits, blanks, dots and dashes.',
    });
  }
  if (!(await isFile(path))) throw new IoError(`There is no file ${path}.`, { hint: 'Give one that is there.' });
  const { size } = await stat(path);
  if (size > MOST_BYTES) {
    throw new UsageError(
      `The file ${path} has ${(size / 1e9).toFixed(1)} GB, and at most 2.1 GB are sent to workers.`,
      {
        hint: 'Put it into a model folder in place of its own weights, and give that to the workers: --model NAME=FOLDER.',
      },
    );
  }
  return readFile(path);
}

/** Puts files into the store; what is kept for a time only is kept so long anew. */
export async function sendFiles(store: FileStore, sent: readonly SentFile[]): Promise<void> {
  for (const [name, bytes] of sent.flatMap(({ files }) => files)) await store.put(name, bytes);
}

/** The identity of a LoRA's bytes, with what peft keeps beside them. */
export const loraHash = (bytes: Uint8Array, config: Uint8Array | undefined): string =>
  config ? sha256(`${sha256(bytes)}\n${Buffer.from(config).toString('utf8')}`) : sha256(bytes);

/** Where peft's settings lie, for a file of this name; elsewhere nobody looks for them. */
export const isBesideConfig = (name: string): boolean => name === PEFT_WEIGHTS;
