import { MOST } from '../io/counts';
import type { FarArena } from '../lab/compare/far';
import { loadModel } from '../pipelines/load';
import { atSize } from '../sampling/at-size';
import type { Pipeline } from '../sampling/pipeline';
import type { FarSight } from './baseline-facts';
import { loadForPictures, loadingOptions, type PictureOptions, pictureRequest, weightFiles } from './picture-options';
import { type QueuePlace, queueOptions } from './queue-options';
import { tell } from './say';

/** A model whose forward passes are made here, or by workers. */
export interface NearOrFar {
  readonly pipeline: Pipeline;
  /** The same model, run here. */
  readonly own: Pipeline;
  /** The workers as those who measure the parts of a comparison, where there are any. */
  readonly arena?: (signal: AbortSignal) => FarArena;
  /** The workers as those who run requests uncached and say what they show. */
  readonly sight?: FarSight;
  /** Forward passes that are made at a time. */
  readonly places: number;
  close(): Promise<void>;
}

type FarOptions = PictureOptions & { readonly model: string; readonly lpips?: string | undefined } & QueuePlace;

/**
 * Loads a model as the options say. With --queue the workers of that queue run it: here it is loaded too, for what is
 * cheap.
 * @throws UsageError for files that cannot be sent to workers, or where no worker has the model
 */
export async function loadNearOrFar(options: FarOptions): Promise<NearOrFar> {
  if (options.queue === undefined) {
    const pipeline = await loadForPictures(options.model, options);
    return { pipeline, own: pipeline, places: 1, close: async () => pipeline.dispose() };
  }
  // Loaded when it is used: most runs need no queue.
  const [
    { openQueue },
    { createParts, requireWorkers },
    { farPipeline },
    { farArena, farSight },
    { namedModel },
    sent,
  ] = await Promise.all([
    import('../fleet/queue'),
    import('../fleet/parts'),
    import('../fleet/far-model'),
    import('../fleet/far-arena'),
    import('../fleet/named-model'),
    import('../fleet/sent-files'),
  ]);
  const { id: model, path } = await namedModel(options.model);
  const { loras = [], transformer, transformer2 } = weightFiles(options);
  const merged = await Promise.all(loras.map(sent.loraToSend));
  const files = await sent.weightsByName({ transformer: transformer?.path, transformer2: transformer2?.path });
  const lpips = options.lpips === undefined ? undefined : await sent.weightsToSend(options.lpips);
  const all = [...merged, ...Object.values(files), ...(lpips ? [lpips] : [])];
  // Where nothing is sent, it need not be known where the queue keeps its files.
  const address = queueOptions({ ...options, store: all.length > 0 ? options.store : 'any' });
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
    const loading = {
      ...{ tiling, ...(dtype && { dtype }), ...(variant !== undefined && { variant }) },
      ...(merged.length > 0 && { loras: merged.map(({ named }) => named) }),
      ...Object.fromEntries(Object.entries(files).map(([name, { named }]) => [name, named])),
    };
    const name = { model, loading, ...(lpips && { lpips: lpips.named }) };
    await sent.sendFiles(queue.store, all);
    tell(`asks workers of ${address.address.shown}, ${places} at a time\n`);
    const usual = pictureRequest(options);
    return {
      own: atSize(own, usual),
      pipeline: atSize(farPipeline(own, name, parts), usual),
      arena: signal => farArena(own.info, name, usual, parts, signal),
      sight: farSight(own.info, name, usual, parts),
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
