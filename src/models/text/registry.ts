import type { z } from 'zod';
import { CheckpointError } from '../../errors';
import type { ParameterTable, WeightStore } from '../../weights/parameters';
import { clipTextConfig, clipTextLayers, clipTextParameters, createClipText } from './clip';
import type { PromptEncoder } from './prompt-encoder';
import { createT5, T5_EMBEDDINGS, type T5Embeddings, t5Blocks, t5Config, t5Parameters } from './t5';

/** What is asked of a checkpoint whose files may name things in more than one way. */
interface Names {
  has(name: string): boolean;
}

/** What ertacache knows of one class of text encoder. */
export interface TextEncoderClass<Config = unknown> {
  /** Accepts the hub's `config.json`. */
  readonly schema: z.ZodType<Config>;
  /** @param names the checkpoint, where it is at hand */
  parameters(config: Config, names?: Names): ParameterTable;
  /** Tensors that some files hold beside the parameters: a second copy, or numbers that follow from the shape. */
  readonly ignore: readonly RegExp[];
  /** Those of them that belong to another model, such as the decoder: they are not told, and not converted. */
  readonly unused?: readonly RegExp[];
  /** Prefix of every layer, in order: the unit of streaming. */
  blockNames(config: Config): string[];
  /** Channels of its states, those of its pooled vector among them. */
  width(config: Config): number;
  create(config: Config, weights: WeightStore, names?: Names): PromptEncoder;
}

function define<Config>(encoder: TextEncoderClass<Config>): TextEncoderClass {
  return encoder as unknown as TextEncoderClass;
}

/** Files made without the encoder's copy hold the first name, those made from the encoder alone may lack it. */
function t5Embeddings(names?: Names): T5Embeddings {
  return (names && T5_EMBEDDINGS.find(name => names.has(name))) ?? T5_EMBEDDINGS[0];
}

/** The other half of a whole encoder-decoder. */
const DECODER = [/^decoder\./, /^lm_head\.weight$/];

const t5 = define({
  schema: t5Config,
  parameters: (config, names) => t5Parameters(config, t5Embeddings(names)),
  // Checkpoints of a whole encoder-decoder serve as well.
  ignore: [/^encoder\.embed_tokens\.weight$/, ...DECODER],
  unused: DECODER,
  blockNames: t5Blocks,
  width: c => c.d_model,
  create: (config, weights, names) => createT5(config, weights, t5Embeddings(names)),
});

const classes = new Map<string, TextEncoderClass>([
  [
    'CLIPTextModel',
    define({
      schema: clipTextConfig,
      parameters: clipTextParameters,
      ignore: [/^text_model\.embeddings\.position_ids$/, /^(text_projection\.weight|logit_scale)$/],
      blockNames: clipTextLayers,
      width: c => c.hidden_size,
      create: createClipText,
    }),
  ],
  ['T5EncoderModel', t5],
  ['T5ForConditionalGeneration', t5],
  ['UMT5EncoderModel', t5],
]);

/** Names of the text encoder classes that can be run. */
export function textEncoderNames(): string[] {
  return [...classes.keys()];
}

/** @throws CheckpointError naming a class that ertacache does not know */
export function textEncoderClass(className: string): TextEncoderClass {
  const found = classes.get(className);
  if (found) return found;
  throw new CheckpointError('config_class', `The class "${className}" is no text encoder that ertacache runs.`, {
    hint: `Known classes: ${textEncoderNames().join(', ')}.`,
  });
}
