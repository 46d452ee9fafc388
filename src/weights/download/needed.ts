import { UnsupportedError, UsageError } from '../../errors';
import { variantOf as variantOfFile } from '../weight-files';
import type { HubFile, HubRepository } from './repository';

/** Kinds of files that models are read from. Pickled weights are not: they run code. */
const READABLE = /\.(json|safetensors|txt|model)$/;
const DOCUMENTS = /^(README\.md|LICENSE[\w.-]*)$/i;
/** `….fp16.safetensors`: the same weights with fewer digits, where the file has a name that the libraries do not give. */
const VARIANT =
  /\.(fp16|bf16|non_ema)(?:-\d+-of-\d+)?\.safetensors(?:\.index\.json)?$|\.safetensors\.index\.(fp16|bf16|non_ema)\.json$/;
const WEIGHTS = /\.safetensors$/;

/** A folder that holds a pipeline without an index, the root among them: `''` or `minit2i-b-16/`. */
const SPLIT = /^((?:[\w.-]+\/)?)transformer\/config\.json$/;

/** What is meant of a repository that holds more than one model or form of it. */
export interface Needed {
  /** The weights of a variant such as `fp16`, where there are such. */
  readonly variant?: string | undefined;
  /** The model, where there are several. */
  readonly subfolder?: string | undefined;
}

/**
 * The files that a model is loaded from: of a pipeline everything in its folders, without a second copy of the weights
 * as one file, other precisions and other frameworks; of a single model everything beside its `config.json`.
 * @param variant takes the weights of a variant such as `fp16` where a folder has them; its only one where there are no
 *   others by default
 * @param subfolder the model that is meant, in a repository that holds several in folders of their own
 * @throws UnsupportedError when there is nothing to load, UsageError when it is not said which of several models, or the
 *   variant is nowhere
 */
export function neededFiles({ name, files }: HubRepository, { variant, subfolder }: Needed = {}): HubFile[] {
  const paths = new Set(files.map(file => file.path));
  const whole = paths.has('model_index.json');
  const root = whole || paths.has('config.json') ? undefined : splitRoot(name, paths, subfolder);
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
    if (root !== undefined) {
      return path.startsWith(root) && /^(transformer|scheduler)\/[^/]+$/.test(path.slice(root.length));
    }
    const [folder, ...rest] = path.split('/');
    if (!whole) return rest.length === 0;
    return path === 'model_index.json' || (rest.length === 1 && isPart(folder as string, paths));
  });
  const variants = [...new Set([...paths].flatMap(path => variantOf(path) ?? []))].sort();
  if (needed.some(({ path }) => path.endsWith('.safetensors'))) {
    if (variant === undefined || needed.some(({ path }) => variantOf(path) === variant)) return needed;
    throw new UsageError(`${name} holds no weights of the variant ${variant}.`, {
      hint: variants.length > 0 ? `It holds those of ${variants.join(', ')}.` : 'Omit --variant.',
    });
  }
  const of = variants.length > 0 ? ` but those of the variants ${variants.join(', ')}` : '';
  throw new UnsupportedError(`${name} holds no safetensors weights${of}.`, {
    hint: of ? 'Choose one with --variant.' : 'Take a repository in the layout of diffusers, with model_index.json.',
  });
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);
const isWeights = (path: string): boolean => /\.safetensors(\.index\.json)?$/.test(path);

function variantOf(path: string): string | undefined {
  const [, ofFile, ofIndex] = VARIANT.exec(path) ?? [];
  return ofFile ?? ofIndex ?? variantOfFile(path.slice(folderOf(path).length));
}

/** Which weights of a folder are taken: undefined for the plain ones. */
function variantFor(folder: string, paths: readonly string[], asked?: string): string | undefined {
  const weights = paths.filter(path => folderOf(path) === folder && WEIGHTS.test(path));
  const variants = new Set(weights.map(variantOf));
  if (asked !== undefined && variants.has(asked)) return asked;
  const [only] = variants;
  return variants.size === 1 ? only : undefined;
}

/** Where in a repository without an index the parts of the pipeline lie; nothing where there are none. */
function splitRoot(name: string, paths: ReadonlySet<string>, subfolder?: string): string | undefined {
  const roots = [...paths].flatMap(path => SPLIT.exec(path)?.[1] ?? []);
  if (roots.includes('')) return '';
  const models = roots.map(root => root.slice(0, -1));
  if (subfolder !== undefined && models.includes(subfolder)) return `${subfolder}/`;
  if (subfolder === undefined && roots.length < 2) return roots[0];
  throw new UsageError(
    subfolder === undefined ? `${name} holds ${models.join(' and ')}.` : `${name} holds no ${subfolder}.`,
    { hint: models.length > 0 ? `Name one of them: --subfolder ${models.join(' or ')}.` : 'Omit --subfolder.' },
  );
}

/** A folder of a model, a tokenizer or a sampler. */
function isPart(folder: string, paths: ReadonlySet<string>): boolean {
  const marks = ['config.json', 'scheduler_config.json', 'tokenizer_config.json', 'tokenizer.json', 'spiece.model'];
  return marks.some(mark => paths.has(`${folder}/${mark}`));
}
