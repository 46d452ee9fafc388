import { join } from 'node:path';
import type { Receipt } from '../../draw/receipt';
import { UsageError } from '../../errors';
import { requirePromptLength } from '../../text/prompt-length';
import { MAX_PROMPTS } from '../prompts';

/** One picture to make. */
export interface Task {
  readonly prompt: string;
  readonly seed: number;
  /** Prompt and seed as a file name without its extension, which depends on the model. */
  readonly name: string;
  readonly out?: string | undefined;
}

export interface TaskOptions {
  readonly seed: number;
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
  const tasks = prompts.flatMap((prompt, p) =>
    Array.from({ length: numImages }, (_, i) => {
      const name = join(outDir, `${names[p]}-${seed + i}`);
      return { prompt, seed: seed + i, name };
    }),
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
  { prompt, seed }: Receipt,
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
  return { prompt, seed, name: join(outDir, slug(prompt)), out: out ?? again(from) };
}

/** `a.png` as `a-again.png`, the folder `a/` as `a-again/`. */
function again(from: string): string {
  const folder = /^(.*[^\\/])[\\/]+$/.exec(from)?.[1];
  return folder === undefined ? from.replace(/(\.\w+)$/, '-again$1') : `${folder}-again/`;
}

/** Characters of a file name, each of at most four bytes: file systems take 255 bytes. */
const NAME = 60;

/** A prompt as a file name: letters and digits, so that nothing in it steers a terminal or leaves the folder. */
function slug(prompt: string): string {
  const words = prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['picture'];
  return Array.from(words.join('-')).slice(0, NAME).join('');
}

/** Names of which a later equal one is told apart by its number. */
function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
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
