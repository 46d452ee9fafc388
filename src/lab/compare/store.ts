import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { UsageError } from '../../errors';
import { writeFileAtomic } from '../../io/atomic';
import { isFile, readText } from '../../io/node-file';
import { summarise } from './aggregate';
import { type Comparison, type ComparisonRequest, parseComparison } from './comparison';

/** The folder of a comparison: everything that is done so far. */
export interface Store {
  /** Written to disk by `save`; change it in place. */
  readonly comparison: Comparison;
  /** True where an earlier run had begun. */
  readonly continued: boolean;
  path(...names: string[]): string;
  save(): Promise<void>;
  /** Marks the comparison as complete and removes what only a continued run would need. */
  finish(): Promise<void>;
}

export const COMPARISON_FILE = 'comparison.json';
const FLOATS = 'references';
const OWN_FOLDERS = [FLOATS, 'images', 'policies'];

/**
 * Opens the folder of a comparison, to begin or to continue.
 * @param fresh what a new comparison begins with
 * @throws UsageError when the folder holds a comparison of something else and `force` is not given
 */
export async function openStore(folder: string, fresh: Comparison, options: { force: boolean }): Promise<Store> {
  const file = join(folder, COMPARISON_FILE);
  const earlier = options.force ? undefined : await readComparison(file);
  if (earlier) requireSame(earlier.request, fresh.request, folder);
  else for (const name of OWN_FOLDERS) await rm(join(folder, name), { recursive: true, force: true });
  const comparison = earlier ?? fresh;
  const save = (): Promise<void> => {
    // The summary can be made again from the rest; it is there for readers of the file.
    const text = JSON.stringify({ ...comparison, summary: summarise(comparison) }, null, 1);
    return writeFileAtomic(file, `${text}\n`);
  };
  return {
    comparison,
    continued: earlier !== undefined,
    path: (...names) => join(folder, ...names),
    save,
    async finish() {
      comparison.state = 'complete';
      await save();
      await rm(join(folder, FLOATS), { recursive: true, force: true });
    },
  };
}

async function readComparison(file: string): Promise<Comparison | undefined> {
  if (!(await isFile(file))) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(await readText(file));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new UsageError(`${file} is not JSON.`, { hint: 'Choose another --out, or begin anew with --force.', cause });
  }
  return parseComparison(json, file);
}

/** What the fields of a request are called in a sentence. */
const WORDS: Readonly<Record<keyof ComparisonRequest, string>> = {
  model: 'another model',
  backend: 'another backend',
  version: 'another version of ertacache',
  steps: 'another number of steps',
  guidance: 'another guidance',
  picture: 'pictures of another size or type',
  kind: 'another kind of rows',
  methods: 'other methods',
  budgets: 'other budgets',
  against: 'another method to compare with',
  calibration: 'other calibration pairs',
  evaluation: 'other pairs',
  batch: 'another batch size',
  trials: 'another number of trials',
  timed: 'another number of timed pairs',
  lpips: 'other LPIPS weights',
  policies: 'other policies',
};

function requireSame(earlier: ComparisonRequest, now: ComparisonRequest, folder: string): void {
  const fields = Object.keys(WORDS) as (keyof ComparisonRequest)[];
  const changed = fields.find(field => !isDeepStrictEqual(earlier[field], now[field]));
  if (!changed) return;
  throw new UsageError(`${folder} holds a comparison with ${WORDS[changed]}.`, {
    hint: 'Repeat its command to continue it, choose another --out, or begin anew with --force.',
  });
}
