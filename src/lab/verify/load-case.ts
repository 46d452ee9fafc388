import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CheckpointError, UsageError } from '../../errors';
import { isFile, isFolder, openFile, readText } from '../../io/node-file';
import { safetensorsSource } from '../../weights/safetensors-source';
import type { GoldenCase, GoldenTensor } from './golden-case';
import { expectedOfPrompts } from './prompt-cases';

/** Deepest nesting that is searched for cases: `fixtures/group/case`. */
const SEARCH_DEPTH = 3;

/**
 * The case folders at or under `path`: a folder with a `case.json`.
 * @throws UsageError when there is none
 */
export async function findCases(path: string): Promise<string[]> {
  const found = await search(path, SEARCH_DEPTH);
  if (found.length > 0) return found;
  throw new UsageError(`There is no golden case in ${path}.`, {
    hint: 'Give a folder with a case.json, or a folder of such folders.',
  });
}

async function search(path: string, depth: number): Promise<string[]> {
  if (await isFile(join(path, 'case.json'))) return [path];
  if (depth === 0 || !(await isFolder(path))) return [];
  const names = (await readdir(path)).sort();
  return (await Promise.all(names.map(name => search(join(path, name), depth - 1)))).flat();
}

/** What the kinds of `case.json` have in common; each kind writes its tolerances and its class in its own way. */
interface CaseFile {
  readonly group?: string;
  readonly class?: string;
  readonly cls?: string;
  readonly family?: string;
  readonly call?: Record<string, unknown>;
  /** Several runs of one pipeline, each with a file of its own; a pattern of names in kinds of cases that are not run. */
  readonly runs?: readonly { readonly file: string }[] | string;
  readonly suggested_max_abs?: number | Record<string, number>;
  readonly tolerance?: number | Record<string, number | string>;
}

export async function readJsonFile<T>(path: string): Promise<T> {
  try {
    return JSON.parse(await readText(path)) as T;
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new CheckpointError('config_json', `${path} is not valid JSON.`, { cause });
    throw cause;
  }
}

/** Reads a case whole: its description, configuration, inputs and expected outputs. */
export async function loadCase(folder: string): Promise<GoldenCase> {
  const file = await readJsonFile<CaseFile>(join(folder, 'case.json'));
  const configPath = join(folder, 'config.json');
  const config = (await isFile(configPath)) ? await readJsonFile<Record<string, unknown>>(configPath) : {};
  const tensors = Array.isArray(file.runs)
    ? await readRuns(folder, file.runs)
    : await readTensors(join(folder, 'io.safetensors'));
  const group = file.group ?? basename(dirname(resolve(folder)));
  const apart = join(folder, 'expected.safetensors');
  const own = (await isFile(apart)) ? await readTensors(apart) : withPrefix(tensors, 'out.');
  const expected = (await expectedOfPrompts(group, folder)) ?? own;
  return {
    folder: resolve(folder),
    name: basename(folder),
    group,
    className: String(file.class ?? config._class_name ?? file.cls ?? file.family ?? ''),
    config,
    call: { ...file, ...file.call },
    inputs: withPrefix(tensors, 'in.'),
    expected,
    tolerance: name => toleranceOf(file, name, expected.get(name)),
  };
}

/** Inputs that the pipeline makes itself, and that therefore are checked as well. */
const TOKENS = /^in\.(\w+_)?(input_ids|attention_mask)$/;

/** The tensors of every run of a pipeline: `in.latents` of the first is `in.run0.latents`. */
async function readRuns(
  folder: string,
  runs: readonly { readonly file: string }[],
): Promise<Map<string, GoldenTensor>> {
  const all = new Map<string, GoldenTensor>();
  for (const [i, { file }] of runs.entries()) {
    for (const [name, tensor] of await readTensors(join(folder, file))) {
      all.set(name.replace(/^(in|out)\./, `$1.run${i}.`), tensor);
      if (TOKENS.test(name)) all.set(name.replace(/^in\./, `out.run${i}.`), tensor);
    }
  }
  return all;
}

async function readTensors(path: string): Promise<Map<string, GoldenTensor>> {
  if (!(await isFile(path))) return new Map();
  const source = await safetensorsSource(await openFile(path));
  try {
    const tensors = new Map<string, GoldenTensor>();
    for (const name of source.names) {
      const { dtype, shape } = source.entry(name);
      const integer = /^[IU]|^BOOL/.test(dtype);
      tensors.set(name, { shape, data: await (integer ? source.readInts(name) : source.read(name)) });
    }
    return tensors;
  } finally {
    await source.close();
  }
}

function withPrefix(tensors: ReadonlyMap<string, GoldenTensor>, prefix: string): Map<string, GoldenTensor> {
  return new Map(
    [...tensors].flatMap(([name, t]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), t]] : [])),
  );
}

/**
 * Newer groups give one tolerance for all outputs, to be scaled by the reference's size; older ones one for each
 * output, or one for a family of outputs (`samples` for `sample`, `signals` for every signal).
 */
function toleranceOf(file: CaseFile, name: string, expected: GoldenTensor | undefined): number {
  const scale = Array.from(expected?.data ?? [], Math.abs).reduce(
    (max, v) => (v < Number.POSITIVE_INFINITY && v > max ? v : max),
    1,
  );
  if (typeof file.suggested_max_abs === 'number') return file.suggested_max_abs;
  if (file.suggested_max_abs) return namedTolerance(file.suggested_max_abs, name);
  if (typeof file.tolerance === 'number') return file.tolerance * scale;
  if (typeof file.tolerance?.max_abs === 'number') return file.tolerance.max_abs * scale;
  const named = Object.entries(file.tolerance ?? {}).filter((e): e is [string, number] => typeof e[1] === 'number');
  // Bytes are off by so many levels, however bright they are.
  const unit = name.endsWith('_u8') ? 1 : scale;
  return (named.length > 0 ? namedTolerance(Object.fromEntries(named), name) : 0) * unit;
}

/** Outputs whose tolerance stands under another name. */
const FAMILIES: readonly (readonly [RegExp, string])[] = [
  [/^(decisions|.*_per_step)$/, 'decisions'],
  [/^(latents|noise_pred)/, 'latents'],
  [/^merged/, 'merged'],
  [/^(sample|pred_x0)/, 'samples'],
  [/^alphas/, 'sigmas'],
  [/./, 'signals'],
];

function namedTolerance(tolerances: Readonly<Record<string, number>>, name: string): number {
  const [, inRun] = /^run\d+\.(.*)$/.exec(name) ?? [];
  if (inRun !== undefined) return pipelineTolerance(tolerances, inRun);
  const own = tolerances[name];
  if (own !== undefined) return own;
  const family = FAMILIES.find(([pattern, key]) => pattern.test(name) && tolerances[key] !== undefined);
  if (family) return tolerances[family[1]] as number;
  // A whole number is right or wrong; anything else may be off by the smallest tolerance given.
  const least = Object.values(tolerances).filter(t => t > 0);
  return /_per_step$/.test(name) || least.length === 0 ? 0 : Math.min(...least);
}

/** Outputs of a pipeline's run: tokens are right or wrong, all else is bounded by what it is made of. */
function pipelineTolerance(tolerances: Readonly<Record<string, number>>, name: string): number {
  const { prompt_embeds = 0, step_latents = 0, decoded = 0 } = tolerances;
  const own = tolerances[name];
  if (own !== undefined) return own;
  if (/input_ids$|attention_mask$/.test(name)) return 0;
  if (/^(decoded|image|video)$/.test(name)) return decoded;
  if (/^(noise_pred|model_output|x0_pred|velocity|step_latents|latents|vae_input|temporal_raw)/.test(name))
    return step_latents;
  return prompt_embeds;
}
