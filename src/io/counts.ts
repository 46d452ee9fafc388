import { z } from 'zod';

/**
 * The most of everything that a configuration or a request counts. Far more than any model has; what is beyond is a
 * mistake or a trap, and would end in hours of work or no memory.
 */
export const MOST = {
  layers: 10_000,
  heads: 10_000,
  /** Of a layer, of a token, of a latent. */
  channels: 1_000_000,
  /** Stages of an autoencoder: each halves the picture. */
  stages: 16,
  /** Pixels or frames to a side of a patch. */
  patch: 64,
  /** Entries of a vocabulary. */
  words: 10_000_000,
  /** Tokens of a text, positions of a table. */
  tokens: 1_000_000,
  /** Pixels to a side of a picture. */
  pixels: 1_000_000,
  /** Places to a side of a picture that a model paints by itself. */
  grid: 1024,
  frames: 10_000,
  /** Strength of guidance, and by how much a LoRA is multiplied: beyond, nothing is left of a picture. */
  guidance: 1000,
  /** How far noise levels are pushed: beyond, all steps are at one end. */
  shift: 1000,
  loraScale: 1000,
  steps: 10_000,
  /** Times that a sampler was trained at. */
  trainingTimes: 100_000,
  /** Enlargement of a picture, pixel by pixel. */
  scale: 64,
  threads: 1024,
  /** Rows of a batch. */
  rows: 10_000,
  /** Pictures, prompts, pairs. */
  pictures: 100_000,
  /** Repetitions of a measurement, schedules that a search tries. */
  trials: 10_000_000,
} as const;

/** A whole number from `least` to `most`. */
export function count(most: number, least = 1) {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}
