import { recognise } from '../models/recognise';
import { type OpenAtOptions, openModelAt } from '../weights/disk';
import type { OpenModel } from '../weights/open-model';
import { noPlaceFor, noSecondIn, partsOfFiles, type TransformerFile } from './transformer-file';

/** How a model on disk is opened. */
export interface OpeningOptions {
  /** Takes the weight files of a variant such as `fp16`. */
  readonly variant?: string | undefined;
  /** The `config.json` of a single file, when it is not beside it. */
  readonly config?: string | undefined;
  /** A file that is the transformer of a pipeline folder, in place of its own or beside parts without one. */
  readonly transformer?: TransformerFile | undefined;
  /** The same for the second transformer of a pipeline that has two. */
  readonly transformer2?: TransformerFile | undefined;
}

/** The same for what opens models itself. Reads the transformers' files, to know them by their hashes. */
export async function openAtOptions({ variant, config, ...files }: OpeningOptions): Promise<OpenAtOptions> {
  const isGiven = files.transformer !== undefined || files.transformer2 !== undefined;
  return { variant, config, recognise, ...(isGiven && { part: await partsOfFiles(files, variant) }) };
}

/**
 * Opens a model on disk: a folder, or one file. Headers are read and checked, values are not.
 * @throws CheckpointError or IoError, UsageError for a transformer's file beside what has no such transformer
 */
export async function openNamed(path: string, options: OpeningOptions = {}): Promise<OpenModel> {
  const model = await openModelAt(path, await openAtOptions(options));
  const { transformer, transformer2 } = options;
  const isPipeline = model.kind === 'pipeline' || (!transformer && !transformer2);
  const hasSecond = !transformer2 || model.components.has('transformer_2');
  if (isPipeline && hasSecond) return model;
  await model.close();
  throw isPipeline ? noSecondIn(path) : noPlaceFor(path);
}
