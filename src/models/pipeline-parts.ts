import type * as tf from '@tensorflow/tfjs-core';
import type { Resize } from '../media/pixels';
import type { Embeddings, EncodedTexts, TextRequest } from '../sampling/embeddings';
import type { PictureSize, PipelineInfo, PrepareOptions, TextLoss } from '../sampling/pipeline';
import type { HubScheduler } from '../sampling/schedule';
import type { Denoiser } from '../transformer/denoiser';
import type { Experts } from './experts';
import type { Autoencoder, CodeOptions, Posterior } from './vae/autoencoder';

/**
 * Is shown a named result on its way; borrowed.
 * @param name name of the result, such as `prompt_embeds`
 * @param value its values; tensors are valid during the call only
 */
export type Watch = (name: string, value: tf.Tensor | readonly number[]) => void;

/** What a forward pass has to hold. */
export interface RunSize {
  readonly size: PictureSize;
  /** Of a row, text included. */
  readonly tokens: number;
  /** Channels of a token. */
  readonly width: number;
  /** Rows of a batch. */
  readonly rows: number;
}

/** The parts of a published pipeline, each loaded when it is first needed. */
export interface PipelineParts {
  /** Decodes pictures larger than a tile in tiles. */
  readonly tiling?: boolean;
  /** Sees what goes from part to part (`prompt_embeds`, `vae_input`, …), for comparison with a reference. */
  readonly watch: Watch;
  /** Sees what goes on inside the decoder. */
  readonly watchDecoder?: CodeOptions['watch'];
  /** Brings a picture to another size. */
  readonly resize: Resize;
  readonly info: Pick<
    PipelineInfo,
    'id' | 'hash' | 'loras' | 'modelClass' | 'schedulerClass' | 'parameters' | 'prompts'
  >;
  /** The `config.json` of a part, for the schema of its class. */
  config(part: string): unknown;
  readonly scheduler: HubScheduler;
  /** The autoencoder's sizes. It has no weights; `autoencoder` has. */
  readonly geometry: Autoencoder;
  /** Runs a text encoder, which is gone from memory afterwards. The result is the caller's. */
  encode(request: TextRequest, options?: PrepareOptions): Promise<EncodedTexts>;
  /** What the text encoders will not read of some texts; only the tokenizers are read. */
  textLoss(requests: readonly TextRequest[]): Promise<TextLoss[]>;
  /** All that `encode` has made so far. */
  embeddings(): Promise<Pick<Embeddings, 'encoders' | 'entries'>>;
  /**
   * Refuses a run that memory is too small for, before anything is loaded.
   * @throws MemoryError
   */
  requireMemory(run: RunSize): void;
  /** Where the pipeline has two transformers; `transformer` is then not to be asked for. */
  readonly experts?: Experts | undefined;
  /** Stays loaded until `dispose`. Encode the prompts first, so that encoder and transformer are not held at once. */
  transformer(): Promise<Denoiser>;
  /** Stays loaded until `dispose`; decodes only. */
  autoencoder(): Promise<Autoencoder>;
  /** What the autoencoder's encoder, which is gone from memory afterwards, makes of pixels. The caller's. */
  encodePixels(pixels: tf.Tensor): Promise<Posterior>;
  dispose(): void;
}
