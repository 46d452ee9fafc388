import { recognise } from '../models/recognise';
import { type OpenAtOptions, openModelAt } from '../weights/disk';
import type { OpenModel } from '../weights/open-model';
import { noPlaceFor, partsOfFile, type TransformerFile } from './transformer-file';

/** How a model on disk is opened. */
export interface OpeningOptions {
  /** Takes the weight files of a variant such as `fp16`. */
  readonly variant?: string | undefined;
  /** The `config.json` of a single file, when it is not beside it. */
  readonly config?: string | undefined;
  /** A file that is the transformer of a pipeline folder, in place of its own or beside parts without one. */
  readonly transformer?: TransformerFile | undefined;
}

/** The same for what opens models itself. Reads the transformer's file, to know it by its hash. */
export async function openAtOptions({ variant, config, transformer }: OpeningOptions): Promise<OpenAtOptions> {
  return { variant, config, recognise, ...(transformer && { part: await partsOfFile(transformer, variant) }) };
}

/**
 * Opens a model on disk: a folder, or one file. Headers are read and checked, values are not.
 * @throws CheckpointError or IoError, UsageError for a transformer's file beside what is no pipeline folder
 */
export async function openNamed(path: string, options: OpeningOptions = {}): Promise<OpenModel> {
  const model = await openModelAt(path, await openAtOptions(options));
  if (!options.transformer || model.kind === 'pipeline') return model;
  await model.close();
  throw noPlaceFor(path);
}
