import type { Tensor } from '@tensorflow/tfjs-core';
import type { Clip, Image } from '../media/pixels';
import type { ComputeType } from '../nn/bfloat16';
import type { State } from '../nn/state';
import type { Seed } from '../random/seed';
import type { Solver } from '../schedulers/solver';
import type { Embeddings } from './embeddings';
import type { Branch, Guide } from './guidance';

/** Size of a picture or clip in pixels; a picture has one frame. */
export interface PictureSize {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** Frames of a clip; 1 for a picture. */
  readonly frames: number;
}

/** How a run is guided. */
export interface GuidanceRequest {
  /** Strength of classifier-free guidance, or what FLUX.1-dev is told of it; 1 turns it off and halves the work. */
  readonly guidance: number;
  /** What to steer away from; the model's null prompt unless given. */
  readonly negativePrompt?: string | undefined;
  /** FLUX: strength of true guidance, from two calls; it acts above 1 and with a negative prompt (`true_cfg_scale`). */
  readonly trueCfgScale?: number | undefined;
  /** Wan2.2: strength of guidance of the second expert, where it is not that of the first (`guidance_scale_2`). */
  readonly guidance2?: number | undefined;
  /** From and to which share of the way from noise to picture guidance acts; the model's own by default. */
  readonly guidanceInterval?: readonly [from: number, to: number] | undefined;
}

/** What decides the noise levels of a run, and with what they are gone through. */
export interface ScheduleRequest extends GuidanceRequest {
  /** Denoising steps (`num_inference_steps` of diffusers). */
  readonly steps: number;
  /**
   * Flow-matching models: `s` in `σ → s·σ / (1 + (s - 1)·σ)`, in place of the model's own shift, by size or fixed. Above
   * 1 more steps are spent at high noise.
   */
  readonly shift?: number | undefined;
  /** The model's usual size unless given. Models that paint pixels directly have one size only. */
  readonly size?: Partial<Record<keyof PictureSize, number | undefined>> | undefined;
  /** What all rows begin with; models of pictures only. */
  readonly init?: InitialPicture | undefined;
}

/** What is to be drawn: one row for every prompt, each with its own seed. */
export interface BatchRequest extends ScheduleRequest {
  /** One prompt a row. */
  readonly prompts: readonly string[];
  /** FLUX: what the second text encoder reads, a text for every prompt; the prompts unless given. */
  readonly prompts2?: readonly string[] | undefined;
  /** One seed a prompt; those above 2⁵³ as bigint. */
  readonly seeds: readonly Seed[];
  /** Tokens that prompts are cut or padded to; the model's usual number unless given. */
  readonly maxSequenceLength?: number | undefined;
  /** CogVideoX: guidance that grows over the run. */
  readonly dynamicGuidance?: boolean | undefined;
  /** Frames a second that the clip is meant for, in models that are told (Open-Sora). */
  readonly fps?: number | undefined;
}

/** A picture that a run begins with in place of pure noise. */
export interface InitialPicture {
  /** Brought to the size that is drawn. */
  readonly image: Image;
  /** Share of the steps that is run, 0 … 1: how much is drawn anew. */
  readonly strength: number;
}

/** What of a run's guidance its strength does not say, as far as it is not as usual for the model. */
export interface Steering {
  /** Strength of true guidance, where the model is told another one as well. */
  readonly trueCfgScale?: number | undefined;
  /** Strength of guidance of the second model. */
  readonly guidance2?: number | undefined;
  /** From and to which share of the way from noise to picture guidance acts. */
  readonly interval?: readonly [from: number, to: number] | undefined;
}

/** The noise levels of a run. */
export interface RunLevels {
  /** Of two models, the step at which the second takes over: it has nothing to reuse yet. */
  readonly takeover?: number | undefined;
  /** How the run is guided, beside the strength of guidance; absent where all is as usual for the model. */
  readonly steering?: Steering | undefined;
  /**
   * Noise levels of the base schedule, length `steps + 1`. Samplers of discrete times give those of their times,
   * `√(1 - ᾱ)`: they fall and tell one schedule from another, but a run cannot be moved to others.
   */
  readonly sigmas: readonly number[];
  /** Where a run begins with a picture: the whole schedule, of which `skipped` steps are not taken. */
  readonly base?: { readonly sigmas: readonly number[]; readonly skipped: number };
}

/** Where a model runs. */
export interface Elsewhere {
  /** Whether it is on other machines: runs that do not need each other are then best made at once. */
  readonly isElsewhere?: boolean;
}

/** Whoever runs a model on other machines, and does more there than single forward passes. */
export interface FarRuns {
  /**
   * Asks something about whole runs of a job's request.
   * @param question what is asked; its tensors stay the caller's
   * @param signal stops it, with an InterruptedError
   * @returns the answer, whose tensors are the caller's
   */
  ask(question: { readonly [name: string]: State }, signal?: AbortSignal): Promise<State>;
}

/** A request made ready: text encoded, noise drawn, times laid out. */
export interface Job extends RunLevels, Elsewhere {
  /** Where its model is on other machines, who can be asked there about whole runs. */
  readonly far?: FarRuns;
  /** The calls of the model at every step, one or two. */
  readonly branches: readonly Branch[];
  /** How their outputs become one prediction. */
  readonly guide: Guide;
  /** Starting noise `[B, …]`. */
  readonly latents: Tensor;
  /** Size of what the latents decode to, where a latent alone does not say. */
  readonly size?: PictureSize;
  /**
   * A fresh solver over the base schedule or over other falling noise levels.
   * @param sigmas falling noise levels, length steps + 1; the job's own by default
   * @returns a solver for one run; its caller disposes it
   * @throws UnsupportedError for other levels where the sampler's times are discrete
   */
  solver(sigmas?: readonly number[]): Solver;
  /** Axis of the latent that holds its channels. */
  readonly channelAxis: number;
  /** Releases the latents and what was prepared. */
  release(): void;
}

/** A LoRA that was merged into a model. */
export interface LoraInfo {
  /** The path that it was read from. */
  readonly path: string;
  /** SHA-256 of its bytes. */
  readonly sha256: string;
  /** By how much it was multiplied. */
  readonly scale: number;
  /** The transformer that it was merged into, where that is not the first. */
  readonly component?: 'transformer_2' | undefined;
}

/** Facts about a pipeline that policies, receipts and reports name. */
export interface PipelineInfo {
  /** Short name, such as `fluent-emoji`. */
  readonly id: string;
  /** Content hash of weights and configuration: a policy belongs to one. */
  readonly hash: string;
  /** What was merged into the weights, in this order; absent where nothing was. `hash` is of the weights without. */
  readonly loras?: readonly LoraInfo[];
  /** What its products are computed in, where that is not float32. */
  readonly dtype?: ComputeType | undefined;
  /** Class of the transformer, as diffusers names it. */
  readonly modelClass: string;
  /** Class of the scheduler, as diffusers names it. */
  readonly schedulerClass: string;
  /** Number of the transformer's parameters. */
  readonly parameters: number;
  /** Whether it draws pictures or clips. */
  readonly kind: 'image' | 'clip';
  /** Frames a second of a clip. */
  readonly fps?: number;
  /** Size of what it draws, where it is always the same. */
  readonly size?: PictureSize;
  /** Steps and guidance where a request gives none. */
  readonly defaults: { readonly steps: number; readonly guidance: number };
  /** Prompts that the model is known to draw well, where its folder lists them. */
  readonly prompts: readonly string[];
}

/** How final latents are decoded, and who is told of it. */
export interface DecodeOptions {
  /** Called after every part; a promise is awaited, so that a display can be drawn. */
  readonly onProgress?: ((done: number, total: number) => void | Promise<void>) | undefined;
  /** When aborted, decoding ends with an InterruptedError. */
  readonly signal?: AbortSignal | undefined;
}

/** The texts of a request, and to how many tokens they are brought. */
export type TextsRequest = Pick<
  BatchRequest,
  'prompts' | 'prompts2' | 'negativePrompt' | 'maxSequenceLength' | 'guidance' | 'trueCfgScale'
>;

/** What a text encoder does not read of a prompt. */
export interface TextLoss {
  /** The folder of the encoder: `text_encoder`, `text_encoder_2`, … */
  readonly encoder: string;
  /** The prompt as the encoder gets it, or what is steered away from. */
  readonly prompt: string;
  /** Words that the encoder does not know. They are left out. */
  readonly unknown: readonly string[];
  /** The end of the prompt that is beyond what the encoder takes; empty where all of it is taken. */
  readonly dropped: string;
  /** How much it takes, its special tokens included. */
  readonly limit: { readonly count: number; readonly unit: 'tokens' | 'words' };
}

/** How a request is made ready. */
export interface PrepareOptions {
  /** When aborted, the text encoders stop before their next layer, with an InterruptedError. */
  readonly signal?: AbortSignal | undefined;
}

/** From prompts to pixels. */
export interface Pipeline extends Elsewhere {
  /** Facts that policies, receipts and reports name. */
  readonly info: PipelineInfo;
  /**
   * What the text encoders will not read of a request's prompts. Of the text encoders only the tokenizers are read.
   * @param request the prompts, and to how many tokens they are brought
   * @returns an entry for every encoder and every prompt that it does not read whole
   */
  textLoss(request: TextsRequest): Promise<TextLoss[]>;
  /**
   * The noise levels that a run will have. Nothing is loaded and nothing is encoded.
   * @param request steps, guidance, size and initial picture
   * @returns the noise levels
   * @throws ErtaError for a size, a number of steps or a picture that the model cannot be run with
   */
  schedule(request: ScheduleRequest): RunLevels;
  /**
   * Makes a request ready; its caller releases the job.
   * @param request prompts, seeds and settings, one row a prompt
   * @param options a signal to stop
   * @returns the job; its caller releases it
   * @throws UsageError for a request that the model cannot be run with
   * @throws MemoryError where memory is too small, before anything is loaded
   */
  prepare(request: BatchRequest, options?: PrepareOptions): Promise<Job>;
  /**
   * Encodes a request's prompts ahead, in pipelines with text encoders: those are then not in memory together with the
   * transformer. They are remembered, so that `prepare` need not encode them.
   * @param request the request that `prepare` will get
   * @param options a signal to stop
   */
  encodePrompts?(request: BatchRequest, options?: PrepareOptions): Promise<void>;
  /**
   * Everything that the text encoders have made so far, for a file.
   * @returns identities of the encoders, and their outputs as plain arrays
   */
  embeddings?(): Promise<Pick<Embeddings, 'encoders' | 'entries'>>;
  /**
   * Pixels of every row of a final latent, which stays the caller's.
   * @param latents final latents `[B, …]`
   * @param size that of the job, where a latent alone does not say
   * @param options progress and a signal to stop
   * @returns one picture or clip a row
   */
  decode(latents: Tensor, size?: PictureSize, options?: DecodeOptions): Promise<(Image | Clip)[]>;
  /** Releases the weights. */
  dispose(): void;
}
