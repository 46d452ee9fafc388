import { UsageError } from '../errors';
import { MOST } from '../io/counts';
import type { FarArena } from '../lab/compare/far';
import { loadModel } from '../pipelines/load';
import { atSize } from '../sampling/at-size';
import type { Pipeline } from '../sampling/pipeline';
import { loadForPictures, loadingOptions, type PictureOptions, pictureRequest } from './picture-options';
import { type QueuePlace, queueOptions } from './queue-options';
import { tell } from './say';

/** A model whose forward passes are made here, or by workers. */
export interface NearOrFar {
  readonly pipeline: Pipeline;
  /** The same model, run here. */
  readonly own: Pipeline;
  /** The workers as those who measure the parts of a comparison, where there are any. */
  readonly arena?: (signal: AbortSignal) => FarArena;
  /** Forward passes that are made at a time. */
  readonly places: number;
  close(): Promise<void>;
}

type FarOptions = PictureOptions & { readonly model: string } & Omit<QueuePlace, 'store'>;

/**
 * Loads a model as the options say. With --queue the workers of that queue run it: here it is loaded too, for what is
 * cheap.
 * @throws UsageError for options that workers cannot follow, or where no worker has the model
 */
export async function loadNearOrFar(options: FarOptions): Promise<NearOrFar> {
  if (options.queue === undefined) {
    const pipeline = await loadForPictures(options.model, options);
    return { pipeline, own: pipeline, places: 1, close: async () => pipeline.dispose() };
  }
  for (const [name, option] of [
    ['lora', '--lora'],
    ['lora2', '--lora-2'],
    ['transformer', '--transformer'],
    ['transformer2', '--transformer-2'],
  ] as const) {
    if (options[name] === undefined) continue;
    throw new UsageError(`Workers have no ${option}.`, { hint: 'Leave out --queue.' });
  }
  // Loaded when it is used: most runs need no queue.
  const [{ openQueue }, { createParts, requireWorkers }, { farPipeline }, { farArena }, { namedModel }] =
    await Promise.all([
      import('../fleet/queue'),
      import('../fleet/parts'),
      import('../fleet/far-model'),
      import('../fleet/far-arena'),
      import('../fleet/named-model'),
    ]);
  const address = queueOptions({ ...options, store: 'any' });
  const { id: model, path } = await namedModel(options.model);
  const queue = await openQueue(address);
  const parts = await createParts(queue);
  const end = async (): Promise<void> => {
    parts.close();
    await queue.close();
  };
  try {
    const places = await requireWorkers(queue, model);
    const own = await loadModel(path, loadingOptions(options));
    const { dtype, variant, vaeTiling: tiling = false } = options;
    const loading = { ...(dtype && { dtype }), ...(variant !== undefined && { variant }), tiling };
    tell(`asks workers of ${address.address.shown}, ${places} at a time\n`);
    const usual = pictureRequest(options);
    return {
      own: atSize(own, usual),
      pipeline: atSize(farPipeline(own, { model, loading }, parts), usual),
      arena: signal => farArena(own.info, { model, loading }, usual, parts, signal),
      places: Math.min(places, MOST.threads),
      async close() {
        own.dispose();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}
