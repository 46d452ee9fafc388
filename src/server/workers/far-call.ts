/*
 * What is asked of a model by a program on another machine, beside whole pictures: forward passes and decoding. Question
 * and answer are states, with the digits of their tensors.
 */
import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import ndarray from 'ndarray';
import { z } from 'zod';
import { type Evaluation, partsOf } from '../../cache/evaluation';
import { site, siteNames } from '../../cache/sites';
import { sightingsOf, sights } from '../../calibration/baselines';
import { across } from '../../calibration/in-turn';
import { answerScores } from '../../calibration/measure';
import { referenceRun, referenceState } from '../../calibration/reference';
import { activeKind } from '../../engine/active-kind';
import { UsageError } from '../../errors';
import { count, MOST } from '../../io/counts';
import type { Media } from '../../media/pixels';
import type { Lpips } from '../../metrics/lpips';
import { release } from '../../nn/scope';
import { parseState, type State, tensorState } from '../../nn/state';
import { atSize, type PictureRequest } from '../../sampling/at-size';
import { inEvaluation } from '../../sampling/cached-run';
import { decodeState, encodeState } from '../../sampling/checkpoint';
import type { BatchRequest, Job, Pipeline } from '../../sampling/pipeline';
import type { FarTarget } from './far-target';
import type { HeldModels } from './models';

const size = z.object({ width: count(MOST.pixels), height: count(MOST.pixels), frames: count(MOST.frames) });

/** What a request may say of the picture; see `PictureRequest`. */
const pictureFields = {
  size: size.partial().optional(),
  maxSequenceLength: count(MOST.tokens).optional(),
  negativePrompt: z.string().optional(),
  trueCfgScale: z.number().nonnegative().max(MOST.guidance).optional(),
  guidance2: z.number().nonnegative().max(MOST.guidance).optional(),
  guidanceInterval: z.tuple([z.number(), z.number()]).optional(),
  shift: z.number().positive().max(MOST.shift).optional(),
};

const requestSchema = z.strictObject({
  prompts: z.array(z.string()).min(1).max(MOST.rows),
  seeds: z.array(z.number()),
  steps: count(MOST.steps),
  guidance: z.number(),
  ...pictureFields,
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
const usualSchema = z.strictObject(pictureFields);

const usualOf = (text: string): PictureRequest => usualSchema.parse(JSON.parse(text)) as PictureRequest;

const branchField = z.int().nonnegative();

const callFields = {
  request: requestSchema,
  timestep: z.number(),
  sample: tensorState,
};

const questionSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('forward'), ...callFields, branches: z.array(branchField) }),
  /** The tokens after all blocks. */
  z.object({ kind: z.literal('blocks'), ...callFields, branch: branchField }),
  /** What an uncached run shows to methods that work inside the model. */
  z.object({ kind: z.literal('sight'), usual: z.string(), request: requestSchema, wanted: z.array(z.enum(sights)) }),
  /** The uncached run that a calibration compares with. */
  z.object({ kind: z.literal('uncached'), request: requestSchema, site: z.enum(siteNames) }),
  /** How alike the pictures of policies are to the uncached ones, whose latents are given. */
  z.object({
    kind: z.literal('scores'),
    request: requestSchema,
    policies: z.string(),
    latents: tensorState,
  }),
  z.object({ kind: z.literal('decode'), latents: tensorState, size: size.optional() }),
  /** Parts of a comparison: what is asked is JSON. */
  z.object({ kind: z.literal('references'), usual: z.string(), asked: z.string() }),
  z.object({
    kind: z.literal('part'),
    usual: z.string(),
    asked: z.string(),
    pixels: z.array(tensorState).nullable(),
  }),
]);

/** The bytes of a question or an answer. */
export const encodeFar = (state: State): Promise<Uint8Array> => encodeState(state);

/** What these bytes say; its tensors are the caller's. @throws UsageError for other bytes */
export function decodeFar(bytes: Uint8Array): State {
  const state = decodeState(bytes);
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
  let judge: { readonly sha256: string; readonly lpips: Lpips } | undefined;
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

  /** LPIPS with weights of this machine; it stays in memory until others are asked for. */
  async function lpipsOf(wanted: FarTarget['lpips']): Promise<Lpips | undefined> {
    if (wanted?.sha256 !== judge?.sha256) {
      judge?.lpips.dispose();
      judge = undefined;
    }
    if (wanted && !judge) {
      // Loaded when it is used: most workers only draw.
      const [{ createLpips }, { readLpipsWeights }] = await Promise.all([
        import('../../metrics/lpips'),
        import('../../metrics/lpips-weights'),
      ]);
      judge = { sha256: wanted.sha256, lpips: createLpips(await readLpipsWeights(wanted.path)) };
    }
    return judge?.lpips;
  }

  async function answerOf(
    model: Pipeline,
    question: State,
    { lpips, signal }: Pick<FarTarget, 'lpips'> & { readonly signal: AbortSignal },
  ): Promise<State> {
    const asked = parseState(questionSchema, question);
    if (asked.kind === 'decode') return mediaState(await model.decode(asked.latents, asked.size, { signal }));
    if (asked.kind === 'references' || asked.kind === 'part') {
      // Loaded when it is used: most workers only draw.
      const [lab, { askedPartSchema }, { comparisonRequestSchema }] = await Promise.all([
        import('../../lab/compare/answer-far'),
        import('../../lab/compare/far'),
        import('../../lab/compare/comparison'),
      ]);
      const sized = atSize(model, usualOf(asked.usual));
      if (asked.kind === 'references') {
        const request = comparisonRequestSchema.parse(JSON.parse(asked.asked));
        const { reference, media } = await lab.answerReferences(sized, request, signal);
        return { reference: JSON.stringify(reference), media: mediaState(media) };
      }
      const pixels = asked.pixels ? await mediaOf(asked.pixels.map(each => each.clone())) : undefined;
      const part = askedPartSchema.parse(JSON.parse(asked.asked));
      const own = await lpipsOf(lpips);
      const given = { signal, ...(pixels && { pixels }), ...(own && { lpips: own }) };
      return { part: JSON.stringify(await lab.answerPart(sized, part, given)) };
    }
    if (asked.kind === 'sight') {
      const sized = atSize(model, usualOf(asked.usual));
      return sightingsOf(sized, asked.request as BatchRequest, asked.wanted, { signal });
    }
    const job = await jobOf(model, asked.request as BatchRequest, signal);
    if (asked.kind === 'uncached') return referenceState(await referenceRun(job, site(asked.site), { signal }));
    if (asked.kind === 'scores') {
      return answerScores(model, job, asked.request as BatchRequest, asked, signal);
    }
    const { sample, timestep } = asked;
    const evaluated = <T>(number: number, work: (evaluation: Evaluation) => Promise<T>): Promise<T> => {
      const branch = job.branches[number];
      if (branch) return inEvaluation(branch, { sample, timestep, signal }, work);
      throw new UsageError(`The model has no branch ${number}.`);
    };
    if (asked.kind === 'forward') {
      const compute = (number: number): Promise<Tensor> => evaluated(number, evaluation => evaluation.compute());
      return { outputs: await across(undefined, asked.branches, compute, release) };
    }
    return evaluated(asked.branch, async evaluation => {
      const parts = partsOf(evaluation, 'What is asked');
      return { ...(await parts.blocks(parts.embed())) };
    });
  }

  return {
    async answer({ model: name, hash, backend, loading, lpips }, bytes, signal) {
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
        answer = await answerOf(model, question, { lpips, signal });
        return await encodeFar(answer);
      } finally {
        release([question, answer]);
      }
    },
  };
}
