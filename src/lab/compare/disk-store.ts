import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { UsageError } from '../../errors';
import { writeFileAtomic } from '../../io/atomic';
import { disk } from '../../io/fs';
import { LOCK_FILE, withLock } from '../../io/lock';
import { isFile, readText } from '../../io/node-file';
import { writeError } from '../../io/system-error';
import { grown } from './add';
import { COMPARISON_FORMAT, type Comparison, type ComparisonRequest, parseComparison } from './comparison';
import { comparisonJson } from './comparison-json';
import { diskFiles } from './disk-files';
import { clearBeside, comparisonFiles, referenceFiles, removeFiles, requireEmpty, requireOwnPage } from './own-files';
import type { Store } from './store';

/** The folder of a comparison: everything that is done so far. */
export interface DiskStore extends Store {
  path(...names: string[]): string;
}

export const COMPARISON_FILE = 'comparison.json';

/** What becomes of a comparison that a folder holds already. */
interface Beginning {
  /** It is begun anew. */
  readonly force: boolean;
  /** It may be of fewer methods and budgets than the new one, which then adds to it. */
  readonly add?: boolean;
}

/**
 * Works with the folder of a comparison, to begin or to continue; no other run can use it meanwhile.
 * @param fresh what a new comparison begins with
 * @throws UsageError when the folder holds a comparison of something else and `force` is not given, or files that are
 *   no comparison's; IoError when another run uses it
 */
export async function withStore<T>(
  folder: string,
  fresh: Comparison,
  options: Beginning,
  work: (store: DiskStore) => Promise<T>,
): Promise<T> {
  await disk.mkdir(folder).catch(error => Promise.reject(writeError(folder, error)));
  return withLock(join(folder, LOCK_FILE), folder, async () => work(await openStore(folder, fresh, options)));
}

/** @throws UsageError when a folder holds what is not ertacache's */
export async function requireUsable(folder: string): Promise<void> {
  if (await readMarked(join(folder, COMPARISON_FILE))) await requireOwnPage(folder);
  else await requireEmpty(folder);
}

/** For one run at a time: see `withStore`. */
export async function openStore(folder: string, fresh: Comparison, { force, add }: Beginning): Promise<DiskStore> {
  await requireUsable(folder);
  const file = join(folder, COMPARISON_FILE);
  const earlier = await readComparison(file, force);
  if (earlier && !force) requireSame(earlier.request, fresh.request, folder, add ? ADDABLE : []);
  const kept = earlier && add ? grown(earlier, fresh) : earlier;
  const comparison = kept && !force ? kept : fresh;
  const save = (): Promise<void> => writeFileAtomic(file, comparisonJson(comparison, file));
  const clear = async (): Promise<void> => {
    await removeFiles(folder, referenceFiles(comparison.request));
    await clearBeside(folder, comparisonFiles(comparison));
  };
  if (comparison === fresh) {
    // The mark before all else: whatever comes to lie in the folder, it is known whose it is.
    if (earlier?.replaces) await removeFiles(folder, comparisonFiles(earlier.replaces));
    if (earlier) comparison.replaces = { request: earlier.request, calibrated: earlier.calibrated };
    await save();
  }
  if (comparison.replaces) {
    await removeFiles(folder, comparisonFiles(comparison.replaces));
    delete comparison.replaces;
    await save();
  }
  // A run may have been cut before it had cleared up.
  if (comparison.state === 'complete') await clear();
  const path = (...names: string[]): string => join(folder, ...names);
  return {
    ...diskFiles(path),
    comparison,
    continued: comparison === kept,
    path,
    save,
    async finish() {
      comparison.state = 'complete';
      await save();
      await clear();
    },
  };
}

/**
 * What a comparison in a folder is.
 * @throws UsageError where there is none
 */
export async function storedComparison(folder: string): Promise<Comparison> {
  const found = await readComparison(join(folder, COMPARISON_FILE), false);
  if (found) return found;
  throw new UsageError(`${folder} holds no comparison that could be added to.`, {
    hint: 'Name the folder of one as --out, or omit --add to begin one.',
  });
}

/**
 * @param force begin anew where a comparison cannot be read
 * @returns nothing where there is none
 */
async function readComparison(file: string, force: boolean): Promise<Comparison | undefined> {
  const json = await readMarked(file);
  if (json === undefined) return undefined;
  try {
    return parseComparison(json, file);
  } catch (error) {
    if (force) return undefined;
    throw error;
  }
}

/** The JSON of a comparison of any version. @throws UsageError when the file is another one's */
async function readMarked(file: string): Promise<object | undefined> {
  if (!(await isFile(file))) return undefined;
  const json = parsed(await readText(file));
  if (json && 'format' in json && json.format === COMPARISON_FORMAT) return json;
  throw new UsageError(`${file} is not a comparison of ertacache.`, { hint: 'Choose another --out.' });
}

function parsed(text: string): object | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
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
  worstWeight: 'another weight of the worst pictures',
  timed: 'another number of timed pairs',
  lpips: 'other LPIPS weights',
  policies: 'other policies',
};

/** What may differ where a comparison is added to. */
const ADDABLE: readonly (keyof ComparisonRequest)[] = ['methods', 'budgets', 'against', 'policies'];

function requireSame(
  earlier: ComparisonRequest,
  now: ComparisonRequest,
  folder: string,
  addable: readonly (keyof ComparisonRequest)[],
): void {
  const fields = Object.keys(WORDS) as (keyof ComparisonRequest)[];
  const changed = fields.find(field => !addable.includes(field) && !isDeepStrictEqual(earlier[field], now[field]));
  if (!changed) return;
  const add = ADDABLE.includes(changed) ? ', add methods or budgets to it with --add' : '';
  throw new UsageError(`${folder} holds a comparison with ${WORDS[changed]}.`, {
    hint: `Repeat its command to continue it${add}, choose another --out, or begin anew with --force.`,
  });
}
