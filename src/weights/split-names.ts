import { CheckpointError } from '../errors';
import { printable } from '../printable';

/** A pipeline that is published without an index, its text encoder in another repository. */
export interface SplitPipeline {
  /** Class of the transformer. */
  readonly transformer: string;
  /** Class that a `model_index.json` would name. */
  readonly pipeline: string;
  /** Class of the sampler, of which nothing need be told. */
  readonly scheduler: string;
  /** The key of the transformer's `config.json` that names the repository of text encoder and tokenizer. */
  readonly textKey: string;
  /** That repository, where the key is absent. */
  readonly text: string;
}

/** By the class of the transformer. */
export const SPLIT_PIPELINES: ReadonlyMap<string, SplitPipeline> = new Map(
  [
    {
      transformer: 'MiniT2IMMJiTModel',
      pipeline: 'MiniT2ITextToImagePipeline',
      scheduler: 'MiniT2IFlowMatchScheduler',
      textKey: 'llm',
      text: 'google/flan-t5-large',
    },
  ].map(split => [split.transformer, split]),
);

/**
 * The repository of the text encoder that a transformer's configuration names.
 * @param where how errors call the configuration's folder
 * @throws CheckpointError `unsafe_path` for what is no name of a repository
 */
export function textRepository(
  { textKey, text }: SplitPipeline,
  config: Readonly<Record<string, unknown>>,
  where: string,
): string {
  const name = config[textKey] ?? text;
  if (typeof name === 'string' && /^\w[\w.-]*\/\w[\w.-]*$/.test(name) && name.length <= 200) return name;
  throw new CheckpointError(
    'unsafe_path',
    `The config.json of ${where} names the text encoder ${printable(JSON.stringify(name))}, which is no repository.`,
    { hint: 'Take it from the repository of the model: owner/name is meant.' },
  );
}
