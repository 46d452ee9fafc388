import type { Tensor } from '@tensorflow/tfjs-core';
import type { Clip, Image } from '../media/pixels';
import type { Solver } from '../schedulers/solver';
import type { Branch, Guide } from './guidance';

/** What is to be drawn: one row for every prompt, each with its own seed. */
export interface Request {
  readonly prompts: readonly string[];
  /** One seed a prompt. */
  readonly seeds: readonly number[];
  /** What to steer away from; the model's null prompt unless given. */
  readonly negativePrompt?: string;
  /** Strength of classifier-free guidance; 1 turns it off and halves the work. */
  readonly guidance: number;
  readonly steps: number;
}

/** A request made ready: text encoded, noise drawn, times laid out. */
export interface Job {
  readonly branches: readonly Branch[];
  readonly guide: Guide;
  /** Starting noise `[B, …]`. */
  readonly latents: Tensor;
  /** Noise levels of the base schedule, length `steps + 1`. */
  readonly sigmas: readonly number[];
  /**
   * A fresh solver over the base schedule or over other falling noise levels.
   * @throws UnsupportedError for other levels where the sampler's times are discrete
   */
  solver(sigmas?: readonly number[]): Solver;
  /** Axis of the latent that holds its channels. */
  readonly channelAxis: number;
  release(): void;
}

/** Facts about a pipeline that policies, receipts and reports name. */
export interface PipelineInfo {
  /** Short name, such as `fluent-emoji`. */
  readonly id: string;
  /** Content hash of weights and configuration: a policy belongs to one. */
  readonly hash: string;
  readonly modelClass: string;
  readonly schedulerClass: string;
  readonly parameters: number;
  readonly kind: 'image' | 'clip';
  /** Frames a second of a clip. */
  readonly fps?: number;
  readonly defaults: { readonly steps: number; readonly guidance: number };
  /** Prompts that the model is known to draw well, where its folder lists them. */
  readonly prompts: readonly string[];
}

/** From prompts to pixels. */
export interface Pipeline {
  readonly info: PipelineInfo;
  /** The words of a prompt that the text encoder does not know. */
  unknownWords(prompt: string): string[];
  prepare(request: Request): Promise<Job>;
  /** Pixels of every row of a final latent, which stays the caller's. */
  decode(latents: Tensor): Promise<(Image | Clip)[]>;
  dispose(): void;
}
