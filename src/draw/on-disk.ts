import { UsageError } from '../errors';
import { isObject, requireList, requireObject, requireSignal } from '../io/arguments';
import { loadModel } from '../pipelines/load';
import { modelName } from '../pipelines/model-name';
import { policiesOnDisk } from '../policy/on-disk';
import { requireCaching } from '../policy/require-policy';
import type { CheckpointStore } from '../sampling/checkpoint';
import { requirePipeline } from '../sampling/lifetime';
import type { Pipeline } from '../sampling/pipeline';
import { requireAlike } from './alike';
import { type CheckpointFolder, checkpointsIn } from './checkpoint-folder';
import {
  type Drawn,
  type DrawOptions,
  drawBatch as drawBatchWith,
  draw as drawWith,
  repeat as repeatWith,
} from './draw';
import { type Inputs, readInputs } from './read-inputs';
import { parseReceipt, type Receipt, requestOf } from './receipt';
import { type FullRequest, parseRequest, type Request } from './request';

/** How a request is drawn where there are files: models, policies and pictures are found by their names. */
export interface DrawFilesOptions extends Omit<DrawOptions, 'model' | 'checkpoint'> {
  /** A loaded model, which stays the caller's; the one that the request names is loaded for this run by default. */
  readonly model?: Pipeline | undefined;
  /** The folder of checkpoints, one file for each run that is not finished; or a store of your own. */
  readonly checkpoint?: CheckpointFolder | CheckpointStore | undefined;
}

/**
 * Draws one picture or clip from a prompt. Load the model once where several are drawn.
 * @param request the prompt, and what is not to be as usual for the model
 * @param options a loaded model, a policy, callbacks, a signal to stop
 * @returns the picture or clip, its receipt, and what the run cost
 * @throws ErtaError for a request that is wrong, a policy that does not fit, a model that is not there
 * @example
 * const { media, receipt } = await draw({ prompt: 'red heart', seed: 1 });
 * await writeMedia('red-heart.png', media, { receipt });
 * @example
 * // Goes on where a former process ended.
 * const lion = await draw({ prompt: 'lion', seed: 1 }, { checkpoint: { folder: 'unfinished', every: 5 } });
 * await writeMedia('lion.png', lion.media, { receipt: lion.receipt });
 * await lion.forget();
 */
export async function draw(request: Request, options: DrawFilesOptions = {}): Promise<Drawn> {
  requireOptions(options);
  const inputs = await readInputs(ofModel(parseRequest(request), request, options));
  return withModel(inputs, options, given => drawWith(inputs.request, given));
}

/**
 * Draws several pictures or clips in one sampling loop, which takes less time for each where the model is small. Each
 * is the one that `draw` makes of its request, with a receipt of its own.
 * @param requests they may differ in prompt, seed and scale
 * @param options a loaded model, a policy, callbacks, a signal to stop
 * @returns one picture or clip for each request, in their order; what the run cost is that of all together
 * @throws ErtaError for requests that are wrong or not alike, a method that decides while it draws, and what `draw` throws
 * @example
 * const [heart, lion] = await drawBatch([{ prompt: 'red heart' }, { prompt: 'lion', seed: 1 }]);
 */
export async function drawBatch(requests: readonly Request[], options: DrawFilesOptions = {}): Promise<Drawn[]> {
  requireOptions(options);
  requireList('requests', requests, isObject, 'a list of requests, such as [{ prompt: "red heart" }]');
  const all = requests.map(request => ofModel(parseRequest(request), request, options));
  requireAlike(all);
  const inputs = await readInputs(all[0] as FullRequest);
  const rows = all.map(({ prompt, seed, scale }) => ({ ...inputs.request, prompt, seed, scale }));
  return withModel(inputs, options, given => drawBatchWith(rows, given));
}

/**
 * Draws the picture of a receipt again, bit for bit on the same backend.
 * @param receipt what `readReceipt` gives of a picture
 * @param options a loaded model, callbacks, a signal to stop
 * @returns the same picture or clip, with a new receipt
 * @throws ErtaError when a file, the model or the policy is no longer what it was
 * @example
 * // `repeat` checks it.
 * const receipt = (await readReceipt('red-heart.png')) as Receipt;
 * const { media } = await repeat(receipt);
 */
export async function repeat(receipt: Receipt, options: DrawFilesOptions = {}): Promise<Drawn> {
  requireOptions(options);
  const parsed = parseReceipt(receipt, 'the given object');
  const inputs = await readInputs(requestOf(parsed));
  return withModel(inputs, options, given => repeatWith(parsed, given));
}

/** Before files are read and models loaded. */
function requireOptions(options: DrawFilesOptions): void {
  requireObject('options', options, 'an object');
  if (options.model !== undefined) requirePipeline('model', options.model);
  if (options.policy !== undefined) requireCaching('policy', options.policy);
  requireSignal('signal', options.signal);
}

/** A request for the model that was loaded. @throws UsageError for one that names another */
function ofModel(full: FullRequest, { model: named }: Request, { model }: DrawFilesOptions): FullRequest {
  if (!model) return full;
  const { id } = model.info;
  if (named === undefined) return { ...full, model: id };
  if (modelName(named) === id) return full;
  throw new UsageError(`The request names the model ${named}, and ${id} was loaded.`, {
    hint: 'Load the model that is named: loadModel(name). Or leave it out of the request.',
  });
}

async function withModel<T>(
  { request, init, embeddings }: Inputs,
  options: DrawFilesOptions,
  work: (options: DrawOptions) => Promise<T>,
): Promise<T> {
  const { dtype, variant, transformer, transformer2, loras, vaeTiling: tiling = false } = request;
  const loading = { dtype, variant, transformer, transformer2, loras, tiling, ...(embeddings && { embeddings }) };
  const model = options.model ?? (await loadModel(request.model, loading));
  try {
    const { checkpoint: given } = options;
    if (given !== undefined) requireObject('checkpoint', given, '{ folder, every } or a store');
    const checkpoint = given && 'folder' in given ? checkpointsIn(given) : given;
    return await work({ policies: policiesOnDisk, ...(init && { init }), ...options, checkpoint, model });
  } finally {
    if (model !== options.model) model.dispose();
  }
}
