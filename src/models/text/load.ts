import { fileIn } from '../../io/folder';
import { parseConfig } from '../../io/parse-config';
import { type LoadOptions, loadStore } from '../../weights/load';
import type { ModelComponent } from '../../weights/model-folder';
import type { ParameterTable, WeightStore } from '../../weights/parameters';
import type { TensorSource } from '../../weights/source';
import type { PromptEncoder } from './prompt-encoder';
import { textEncoderClass } from './registry';

/** How a checkpoint becomes a store: all in memory (`loadStore`), or streamed (`streamedStore`). */
export type OpenStore = (
  source: TensorSource,
  table: ParameterTable,
  options: LoadOptions & { readonly blocks: readonly string[] },
) => Promise<WeightStore>;

export interface LoadedTextEncoder {
  readonly encoder: PromptEncoder;
  /** Releases the weights. The checkpoint stays open, unless the store closes it. */
  dispose(): void;
}

/**
 * A text encoder of an opened pipeline, checked against its configuration.
 * @example await loadTextEncoder(componentOf(model, 'text_encoder_2'))
 * @throws CheckpointError or ConfigError
 */
export async function loadTextEncoder(
  { className, config, source, where }: ModelComponent,
  open: OpenStore = loadStore,
): Promise<LoadedTextEncoder> {
  const known = textEncoderClass(className);
  const parsed = parseConfig(known.schema, config, fileIn(where, 'config.json'));
  const { ignore } = known;
  const weights = await open(source, known.parameters(parsed, source), {
    blocks: known.blockNames(parsed),
    ignore,
    where,
  });
  return { encoder: known.create(parsed, weights, source), dispose: () => weights.dispose() };
}
