import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { ShapeError, UnsupportedError } from '../errors';
import { release } from '../nn/scope';
import { anyState, parseState, type Resumable, type State } from '../nn/state';
import type { Seed } from '../random/seed';
import { torchGenerator } from '../random/torch-generator';
import { type FrameRule, requireFrames } from './frame-rule';
import type { BatchRequest, PictureSize, ScheduleRequest } from './pipeline';

/** Models with fewer parameters are trials of the code, not of the eye: their usual size is a small one. */
const TRIAL_PARAMETERS = 50e6;

/** The size that a model draws when none is asked for: that of the published checkpoints, or a small one. */
export function usualSize(parameters: number, published: PictureSize, trial: PictureSize): PictureSize {
  return parameters < TRIAL_PARAMETERS ? trial : published;
}

/**
 * The size that is asked for, checked.
 * @param multiple what height and width are multiples of
 * @param rule which numbers of frames can be drawn
 * @throws ShapeError for the height or the width, UsageError for the frames
 */
export function requestedSize(
  { size }: Pick<ScheduleRequest, 'size'>,
  usual: PictureSize,
  multiple: number,
  rule: FrameRule,
): PictureSize {
  const { width = usual.width, height = usual.height, frames = usual.frames } = size ?? {};
  const wrong = [width, height].find(n => !Number.isInteger(n) || n < multiple || n % multiple !== 0);
  if (wrong !== undefined) {
    const near = Math.max(1, Math.round(wrong / multiple)) * multiple;
    throw new ShapeError(`A side of ${wrong} pixels is not a multiple of ${multiple}, which this model works on.`, {
      hint: `Take ${near} instead.`,
    });
  }
  requireFrames(frames, rule);
  return { width, height, frames };
}

/** Fields of a request that few models have a use for. */
const rareFields = ['prompts2', 'dynamicGuidance', 'fps'] as const;
export type RareField = (typeof rareFields)[number];

/**
 * @param uses those of the rare fields that the model reads
 * @throws ShapeError unless every prompt has a seed and, where there are second texts, one of them; UnsupportedError for
 *   a field that would be passed over
 */
export function checkRows(request: BatchRequest, id: string, uses: readonly RareField[] = []): void {
  const { prompts, prompts2 = prompts, seeds } = request;
  if (prompts.length === 0 || prompts.length !== seeds.length) {
    throw new ShapeError(`${prompts.length} prompts were given ${seeds.length} seeds.`, {
      hint: 'Give every prompt one seed.',
    });
  }
  const idle = rareFields.find(name => !uses.includes(name) && (request[name] ?? false) !== false);
  if (idle) throw new UnsupportedError(`${id} has no use for ${idle}.`, { hint: `Omit ${idle}.` });
  if (prompts2.length !== prompts.length) {
    throw new ShapeError(`${prompts.length} prompts were given ${prompts2.length} second texts (prompts2).`, {
      hint: 'Give every prompt one second text, or none to any.',
    });
  }
}

/** Refuses another length of the prompts than the one that a model reads. */
export function requireTextTokens(
  { maxSequenceLength }: Pick<BatchRequest, 'maxSequenceLength'>,
  only: number,
  id: string,
): void {
  if (maxSequenceLength === undefined || maxSequenceLength === only) return;
  throw new UnsupportedError(`${id} reads ${only} tokens of a prompt, neither more nor fewer.`, {
    hint: 'Omit the length of the prompt (--max-sequence-length).',
  });
}

/** A stream of normal noise that can be taken up where it was left. */
export type NoiseSource = (() => tf.Tensor) & Resumable;

/**
 * A stream of normal noise, a generator for every row: the first draw is the start of the run, as in PyTorch.
 * @param shape of one row
 */
export function noiseSource(seeds: readonly Seed[], shape: readonly number[]): NoiseSource {
  const generators = seeds.map(seed => torchGenerator(seed));
  const draw = (): tf.Tensor => tf.tidy(() => tf.stack(generators.map(g => tf.tensor(g.normal(shape), [...shape]))));
  return Object.assign(draw, {
    state: () => generators.map(g => g.state()),
    restore(state: State): void {
      const states = parseState(z.array(anyState).length(generators.length), state);
      for (const [i, own] of states.entries()) generators[i]?.restore(own);
    },
  });
}

/** Runs `work`; whatever it hands to `own` is released afterwards, also when it fails. */
export async function releasing<T>(work: (own: <R>(tensors: R) => R) => Promise<T>): Promise<T> {
  const owned: unknown[] = [];
  try {
    return await work(tensors => {
      owned.push(tensors);
      return tensors;
    });
  } finally {
    release(owned);
  }
}
