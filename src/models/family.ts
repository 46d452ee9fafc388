import type { z } from 'zod';
import type { PictureSize, Pipeline } from '../sampling/pipeline';
import type { Denoiser } from '../transformer/denoiser';
import type { Group, KeyLayout } from '../weights/key-layout';
import type { ModelConfig } from '../weights/model-config';
import type { ParameterTable, WeightStore } from '../weights/parameters';
import type { GoldenNames } from './golden';
import type { PipelineParts } from './pipeline-parts';
import type { PixelFormat } from './pixel-format';
import type { PublishedPolynomial } from './polynomial';
import type { Preset } from './preset';
import type { Signature } from './signature';
import type { Synthetic } from './synthetic';
import type { AutoencoderClass } from './vae/autoencoder';
import type { Workload } from './workload';

/** How a model is run where nothing else is asked for. */
export interface UsualRun {
  /** Denoising steps. */
  readonly steps: number;
  /** Strength of guidance; 1 is none. */
  readonly guidance: number;
}

/** What a transformer takes from the other parts of its pipeline, and hands to them. */
export interface Joins {
  /** Channels of the latents that it takes, as the autoencoder counts them. */
  readonly latents: number;
  /** Channels of what it predicts, counted alike. */
  readonly outputs: number;
  /** Channels of the texts that it takes, by the folder of the encoder. */
  readonly texts: Readonly<Record<string, number>>;
}

/** What a `model_index.json` may say. */
export interface IndexFields {
  /** Parts that are run, and parts that are never needed for a text. */
  readonly parts: readonly string[];
  /** Whether there may be a `transformer_2`, which takes over at a `boundary_ratio`. */
  readonly experts?: true;
  /** What the reference's class also takes, in words: refused where it asks for something. */
  readonly unsupported?: Readonly<Record<string, string>>;
}

/**
 * Everything that ertacache knows of one family of diffusion transformers. Each room has a file of its own in the
 * family's folder; all else asks the list in `families.ts`.
 */
export interface Family<Config = unknown> {
  /** Class of the transformer, as its `config.json` names it. */
  readonly className: string;
  /** What people call the family. */
  readonly title: string;
  /** Accepts the hub's `config.json`. */
  readonly schema: z.ZodType<Config>;
  /**
   * Every parameter of a model with this configuration, under the names of diffusers.
   * @param config the parsed `config.json`
   * @returns names, stored shapes and layouts, in the order of the forward pass
   */
  parameters(config: Config): ParameterTable;
  /**
   * Prefix of every group of parameters that is used together, in order: the unit of offloading.
   * @param config the parsed `config.json`
   * @returns prefixes such as `transformer_blocks.3`
   */
  blockNames(config: Config): string[];
  /**
   * The denoiser over loaded weights, which stay the store's.
   * @param config the parsed `config.json`
   * @param weights a store of the parameters that `parameters` lists
   * @returns the denoiser; it holds no tensors of its own
   */
  create(config: Config, weights: WeightStore): Denoiser;

  /**
   * The size that published checkpoints of this configuration draw.
   * @param config the parsed `config.json`
   * @returns width and height in pixels, and the number of frames
   */
  usualSize(config: Config): PictureSize;
  /**
   * Steps and guidance where nothing else is asked for; the pipeline's `info.defaults` say the same.
   * @param config the parsed `config.json`
   * @param scheduler what the `scheduler_config.json` says
   * @returns steps and guidance
   */
  usualRun(config: Config, scheduler: unknown): UsualRun;
  /**
   * The work of one forward pass.
   * @param config the parsed `config.json`
   * @param size in pixels and frames
   * @param textTokens the length that prompts are padded to; the family's usual one by default
   * @returns tokens, widths and attention sizes of one row
   * @throws UsageError for a size that the model cannot draw
   */
  workload(config: Config, size: PictureSize, textTokens?: number): Workload;

  /** Published models. */
  readonly presets: readonly Preset[];
  /** The authors' own names of the parameters, where checkpoints in that layout exist. */
  readonly keys?: KeyLayout;
  /** Names of modules that only LoRAs have: those of trainers that follow neither diffusers nor the authors. */
  readonly adapterKeys?: readonly Group[];
  /**
   * The authors' own configuration as that of diffusers; undefined for one that is not theirs.
   * @param foreign what the checkpoint's own `config.json` says
   * @returns the same in diffusers' names, or undefined
   */
  configOf?(foreign: ModelConfig): ModelConfig | undefined;
  /** Autoencoders that pipelines of the family decode with, by class. */
  readonly autoencoders: Readonly<Record<string, AutoencoderClass>>;

  /** Classes that a `model_index.json` names for pipelines of the family. */
  readonly pipelineClasses: readonly string[];
  /** What else a `model_index.json` says for them. */
  readonly index: IndexFields;
  /**
   * What has to fit the other parts of a pipeline.
   * @param config the transformer's configuration
   * @returns channels that it shares with the autoencoder and the text encoders
   */
  joins(config: Config): Joins;
  /**
   * The published pipeline, from its parts, which it disposes.
   * @param parts the parts; the pipeline disposes them
   * @returns the pipeline; its caller disposes it
   */
  pipeline(parts: PipelineParts): Pipeline;
  /**
   * How small models of the family that paint pixels lay them out; absent where there is no such model.
   * @param pipelineJson what the model folder's `pipeline.json` says
   * @returns the layout of the latent
   */
  pixels?(pipelineJson: unknown): PixelFormat;

  /** The transformer's inputs as a TensorFlow.js graph. */
  readonly signature: Signature<Config>;
  /** How golden cases of the reference name things. */
  readonly golden: GoldenNames;
  /** Made-up inputs; a family without them cannot be timed. */
  readonly synthetic?: Synthetic<Config>;
  /** TeaCache's published polynomials. */
  readonly polynomials?: readonly PublishedPolynomial[];
}

/** A family for the list, its class name kept as a literal type and its configuration's type forgotten. */
export function family<const Name extends string, Config>(
  rooms: Family<Config> & { readonly className: Name },
): Family & { readonly className: Name } {
  return rooms;
}

/** `prefix.0 … prefix.(count - 1)`: the names of a stack of blocks. */
export const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}.${i}`);
