import { UnsupportedError } from '../../errors';
import type { HubFile, HubRepository } from './repository';

/** Kinds of files that models are read from. Pickled weights are not: they run code. */
const READABLE = /\.(json|safetensors|txt|model)$/;
const DOCUMENTS = /^(README\.md|LICENSE[\w.-]*)$/i;
/** `….fp16.safetensors`: the same weights with fewer digits. */
const VARIANT = /\.(fp16|bf16|non_ema)(-\d+-of-\d+)?\.(safetensors(\.index\.json)?)$|\.index\.(fp16|bf16)\.json$/;

/**
 * The files that a model is loaded from: of a pipeline everything in its folders, without a second copy of the weights
 * as one file, other precisions and other frameworks; of a single model everything beside its `config.json`.
 * @throws UnsupportedError when there is nothing to load
 */
export function neededFiles({ name, files }: HubRepository): HubFile[] {
  const paths = new Set(files.map(file => file.path));
  const whole = paths.has('model_index.json');
  const isPlain = (path: string): boolean => READABLE.test(path) && !VARIANT.test(path);
  const needed = files.filter(({ path }) => {
    if (DOCUMENTS.test(path)) return true;
    if (!isPlain(path)) return false;
    const [folder, ...rest] = path.split('/');
    if (!whole) return rest.length === 0;
    return path === 'model_index.json' || (rest.length === 1 && isPart(folder as string, paths));
  });
  if (needed.some(({ path }) => path.endsWith('.safetensors'))) return needed;
  throw new UnsupportedError(`${name} holds no safetensors weights.`, {
    hint: 'Take a repository in the layout of diffusers, with model_index.json.',
  });
}

/** A folder of a model, a tokenizer or a sampler. */
function isPart(folder: string, paths: ReadonlySet<string>): boolean {
  const marks = ['config.json', 'scheduler_config.json', 'tokenizer_config.json', 'tokenizer.json', 'spiece.model'];
  return marks.some(mark => paths.has(`${folder}/${mark}`));
}
