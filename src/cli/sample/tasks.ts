import { join } from 'node:path';
import { type Receipt, requestOf } from '../../draw/receipt';
import { UsageError } from '../../errors';
import { type Seed, seedsFrom } from '../../random/seed';
import { requirePromptLength } from '../../text/prompt-length';
import { MAX_PROMPTS } from '../prompts';

/** One picture to make. */
export interface Task {
  readonly prompt: string;
  readonly seed: Seed;
  /** Prompt and seed as a file name without its extension, which depends on the model. */
  readonly name: string;
  readonly out?: string | undefined;
}

export interface TaskOptions {
  readonly seed: Seed;
  readonly numImages: number;
  readonly out?: string | undefined;
  readonly outDir?: string | undefined;
}

/** A picture for every prompt and seed. */
export function tasksOf(prompts: readonly string[], { seed, numImages, out, outDir = '' }: TaskOptions): Task[] {
  if (prompts.length === 0) {
    throw new UsageError('There is no prompt.', { hint: 'Say what to draw: ertacache sample "red heart".' });
  }
  if (prompts.length * numImages > MAX_PROMPTS) {
    throw new UsageError(
      `${prompts.length * numImages} pictures were asked for, and one command draws ${MAX_PROMPTS}.`,
      {
        hint: 'Split the prompts, or ask for fewer pictures of each.',
      },
    );
  }
  for (const prompt of prompts) requirePromptLength(prompt);
  const names = uniqueNames(prompts.map(slug));
  const seeds = seedsFrom(seed, numImages);
  const tasks = prompts.flatMap((prompt, p) =>
    seeds.map(own => ({ prompt, seed: own, name: join(outDir, `${names[p]}-${own}`) })),
  );
  if (out && tasks.length > 1) {
    throw new UsageError(`--out names one file and ${tasks.length} pictures were asked for.`, {
      hint: 'Omit --out: every picture is named after its prompt and seed; --out-dir names their folder.',
    });
  }
  return tasks.map(task => ({ ...task, ...(out && { out }) }));
}

/** The picture that a receipt tells of, once more. */
export function taskOf(
  receipt: Receipt,
  prompts: readonly string[],
  {
    from,
    out,
    outDir = '',
  }: { readonly from: string; readonly out?: string | undefined; readonly outDir?: string | undefined },
): Task {
  if (prompts.length > 0) {
    throw new UsageError(`--from repeats the run of ${from}, which has its own prompt.`, {
      hint: 'Omit the prompt, or omit --from.',
    });
  }
  const { prompt, seed } = requestOf(receipt);
  return { prompt, seed, name: join(outDir, slug(prompt)), out: out ?? again(from) };
}

/** `a.png` as `a-again.png`, the folder `a/` as `a-again/`. */
function again(from: string): string {
  const folder = /^(.*[^\\/])[\\/]+$/.exec(from)?.[1];
  return folder === undefined ? from.replace(/(\.\w+)$/, '-again$1') : `${folder}-again/`;
}

/** What a file system takes as a name is counted in bytes, 255; number, seed, ending and a partial's mark come to it. */
const NAME = { characters: 60, bytes: 160 };

/** A prompt as a file name, cut between characters: nothing in it steers a terminal or leaves the folder. */
function slug(prompt: string): string {
  const words = prompt.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu) ?? ['picture'];
  let name = '';
  for (const character of Array.from(words.join('-')).slice(0, NAME.characters)) {
    if (Buffer.byteLength(name + character) > NAME.bytes) break;
    name += character;
  }
  return name;
}

/** Names of which a later equal one is told apart by its number. */
function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  /** The number that a name was last given: those before it are taken. */
  const last = new Map<string, number>();
  return names.map(name => {
    let unique = name;
    let n = last.get(name) ?? 1;
    while (taken.has(unique)) unique = `${name}-${++n}`;
    last.set(name, n);
    taken.add(unique);
    return unique;
  });
}
