/*
 * What is asked of a model by a program on another machine, beside whole pictures: forward passes and decoding. Question
 * and answer are states, with the digits of their tensors.
 */
import { tensor } from '@tensorflow/tfjs-core';
import ndarray from 'ndarray';
import { z } from 'zod';
import { activeKind } from '../../engine/active-kind';
import { UsageError } from '../../errors';
import { count, MOST } from '../../io/counts';
import type { Media } from '../../media/pixels';
import { release } from '../../nn/scope';
import { parseState, type State, tensorState } from '../../nn/state';
import { atSize } from '../../sampling/at-size';
import { decodeCheckpoint, encodeCheckpoint } from '../../sampling/checkpoint';
import type { BatchRequest, Job, Pipeline } from '../../sampling/pipeline';
import type { FarTarget } from './far-target';
import type { HeldModels } from './models';

const size = z.object({ width: count(MOST.pixels), height: count(MOST.pixels), frames: count(MOST.frames) });

const requestSchema = z.strictObject({
  prompts: z.array(z.string()).min(1).max(MOST.rows),
  seeds: z.array(z.number()),
  steps: count(MOST.steps),
  guidance: z.number(),
  negativePrompt: z.string().optional(),
  maxSequenceLength: count(MOST.tokens).optional(),
  size: size.partial().optional(),
});

/** The fields of requests that can be asked for elsewhere, as a state holds them. */
export function requestState(request: BatchRequest): State {
  const plain: unknown = JSON.parse(JSON.stringify(request));
  const parsed = requestSchema.safeParse(plain);
  if (parsed.success) return plain as State;
  throw new UsageError(`Workers cannot run this request: ${parsed.error.issues[0]?.message}.`, {
    hint: 'Leave out --queue.',
  });
}

/** What requests say where they say nothing else. */
const usualSchema = z.object({ size: size.partial().optional(), maxSequenceLength: count(MOST.tokens).optional() });

const questionSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('forward'),
    request: requestSchema,
    branch: z.int().nonnegative(),
    timestep: z.number(),
    sample: tensorState,
  }),
  z.object({ kind: z.literal('decode'), latents: tensorState, size: size.optional() }),
  /** Parts of a comparison: what is asked is JSON. */
  z.object({ kind: z.literal('references'), usual: z.string(), asked: z.string() }),
  z.object({
    kind: z.literal('cell'),
    usual: z.string(),
    asked: z.string(),
    pixels: z.array(z.array(tensorState)).nullable(),
  }),
]);

const RUN = 'far-call';

/** The bytes of a question or an answer. */
export const encodeFar = (state: State): Promise<Uint8Array> => encodeCheckpoint(RUN, state);

/** What these bytes say; its tensors are the caller's. @throws UsageError for other bytes */
export function decodeFar(bytes: Uint8Array): State {
  const state = decodeCheckpoint(RUN, bytes);
  if (state === undefined) throw new UsageError('What was asked of a worker did not arrive whole.');
  return state;
}

const mediaSchema = z.array(tensorState);

/** Pictures as a state; its tensors are the caller's. */
export const mediaState = (media: readonly Media[]): State =>
  media.map(({ data, shape }) => tensor(data, [...shape], 'float32'));

/** Pictures of a state, whose tensors are released. */
export async function mediaOf(state: State): Promise<Media[]> {
  const tensors = parseState(mediaSchema, state);
  const media: Media[] = [];
  for (const each of tensors) media.push(ndarray(Float32Array.from(await each.data<'float32'>()), [...each.shape]));
  release(tensors);
  return media;
}

/** Answers, one question at a time. */
export interface FarAnswers {
  answer(target: FarTarget, question: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/** Requests that stay ready: their texts are encoded once. */
const MOST_READY = 32;

export function farAnswers(models: HeldModels): FarAnswers {
  let last: Pipeline | undefined;
  const ready = new Map<string, Job>();
  const forget = (key: string): void => {
    ready.get(key)?.release();
    ready.delete(key);
  };

  async function jobOf(model: Pipeline, request: BatchRequest, signal: AbortSignal): Promise<Job> {
    const key = JSON.stringify(request);
    const found = ready.get(key) ?? (await model.prepare(request, { signal }));
    // Put in anew: the map is in the order of use.
    ready.delete(key);
    ready.set(key, found);
    const [oldest] = ready.keys();
    if (ready.size > MOST_READY && oldest !== undefined) forget(oldest);
    return found;
  }

  async function answerOf(model: Pipeline, question: State, signal: AbortSignal): Promise<State> {
    const asked = parseState(questionSchema, question);
    if (asked.kind === 'decode') return mediaState(await model.decode(asked.latents, asked.size, { signal }));
    if (asked.kind === 'references' || asked.kind === 'cell') {
      // Loaded when it is used: most workers only draw.
      const [lab, { askedCellSchema }, { comparisonRequestSchema }] = await Promise.all([
        import('../../lab/compare/answer-far'),
        import('../../lab/compare/far'),
        import('../../lab/compare/comparison'),
      ]);
      const sized = atSize(model, usualSchema.parse(JSON.parse(asked.usual)));
      if (asked.kind === 'references') {
        const request = comparisonRequestSchema.parse(JSON.parse(asked.asked));
        const { reference, media } = await lab.answerReferences(sized, request, signal);
        return { reference: JSON.stringify(reference), media: mediaState(media) };
      }
      const pixels: Media[][] = [];
      for (const batch of asked.pixels ?? []) pixels.push(await mediaOf(batch.map(each => each.clone())));
      const cell = askedCellSchema.parse(JSON.parse(asked.asked));
      return { cell: JSON.stringify(await lab.answerCell(sized, cell, asked.pixels ? pixels : undefined, signal)) };
    }
    const job = await jobOf(model, asked.request as BatchRequest, signal);
    const branch = job.branches[asked.branch];
    if (!branch) throw new UsageError(`The model has no branch ${asked.branch}.`);
    const evaluation = branch.evaluate(asked.sample, asked.timestep, signal);
    try {
      return { output: await evaluation.compute() };
    } finally {
      evaluation.release();
    }
  }

  return {
    async answer({ model: name, hash, backend, loading }, bytes, signal) {
      if (activeKind() !== backend) {
        throw new UsageError(`A worker computes on ${activeKind()}, and ${backend} is wanted.`, {
          hint: `Start the workers with --backend ${backend}, or give the command theirs.`,
        });
      }
      const model = await models.take(name, loading);
      if (model !== last) for (const key of [...ready.keys()]) forget(key);
      last = model;
      if (model.info.hash !== hash) {
        const [ours, theirs] = [model.info.hash, hash].map(each => each.slice(0, 12));
        throw new UsageError(`The model "${name}" of a worker is another version: ${ours}, and ${theirs} is wanted.`);
      }
      const question = decodeFar(bytes);
      let answer: State = null;
      try {
        answer = await answerOf(model, question, signal);
        return await encodeFar(answer);
      } finally {
        release([question, answer]);
      }
    },
  };
}
