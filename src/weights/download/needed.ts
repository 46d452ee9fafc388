import { UnsupportedError } from '../../errors';
import type { HubFile, HubRepository } from './repository';

/** Kinds of files that models are read from. Pickled weights are not: they run code. */
const READABLE = /\.(json|safetensors|txt|model)$/;
const DOCUMENTS = /^(README\.md|LICENSE[\w.-]*)$/i;
/** `….fp16.safetensors`: the same weights with fewer digits. */
const VARIANT =
  /\.(fp16|bf16|non_ema)(?:-\d+-of-\d+)?\.safetensors(?:\.index\.json)?$|\.safetensors\.index\.(fp16|bf16|non_ema)\.json$/;
const WEIGHTS = /\.safetensors$/;

/**
 * The files that a model is loaded from: of a pipeline everything in its folders, without a second copy of the weights
 * as one file, other precisions and other frameworks; of a single model everything beside its `config.json`.
 * @param variant takes the weights of a variant such as `fp16` where a folder has them; its only one where there are no
 *   others by default
 * @throws UnsupportedError when there is nothing to load
 */
export function neededFiles({ name, files }: HubRepository, variant?: string): HubFile[] {
  const paths = new Set(files.map(file => file.path));
  const whole = paths.has('model_index.json');
  const wanted = new Map<string, string | undefined>();
  const isWanted = (path: string): boolean => {
    const folder = folderOf(path);
    if (!wanted.has(folder)) wanted.set(folder, variantFor(folder, [...paths], variant));
    const own = variantOf(path);
    return READABLE.test(path) && (own === wanted.get(folder) || (own === undefined && !isWeights(path)));
  };
  const needed = files.filter(({ path }) => {
    if (DOCUMENTS.test(path)) return true;
    if (!isWanted(path)) return false;
    const [folder, ...rest] = path.split('/');
    if (!whole) return rest.length === 0;
    return path === 'model_index.json' || (rest.length === 1 && isPart(folder as string, paths));
  });
  if (needed.some(({ path }) => path.endsWith('.safetensors'))) return needed;
  const variants = [...new Set([...paths].flatMap(path => variantOf(path) ?? []))].sort();
  const of = variants.length > 0 ? ` but those of the variants ${variants.join(', ')}` : '';
  throw new UnsupportedError(`${name} holds no safetensors weights${of}.`, {
    hint: of ? 'Choose one with --variant.' : 'Take a repository in the layout of diffusers, with model_index.json.',
  });
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);
const isWeights = (path: string): boolean => /\.safetensors(\.index\.json)?$/.test(path);

function variantOf(path: string): string | undefined {
  const [, ofFile, ofIndex] = VARIANT.exec(path) ?? [];
  return ofFile ?? ofIndex;
}

/** Which weights of a folder are taken: undefined for the plain ones. */
function variantFor(folder: string, paths: readonly string[], asked?: string): string | undefined {
  const weights = paths.filter(path => folderOf(path) === folder && WEIGHTS.test(path));
  const variants = new Set(weights.map(variantOf));
  if (asked !== undefined && variants.has(asked)) return asked;
  const [only] = variants;
  return variants.size === 1 ? only : undefined;
}

/** A folder of a model, a tokenizer or a sampler. */
function isPart(folder: string, paths: ReadonlySet<string>): boolean {
  const marks = ['config.json', 'scheduler_config.json', 'tokenizer_config.json', 'tokenizer.json', 'spiece.model'];
  return marks.some(mark => paths.has(`${folder}/${mark}`));
}
