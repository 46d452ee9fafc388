import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { none } from '../cache/none';
import type { CachePolicy } from '../cache/policy';
import { site } from '../cache/sites';
import { requireObject, requireSignal } from '../io/arguments';
import { asWritten, type Media } from '../media/pixels';
import { psnr } from '../metrics/psnr';
import { quantile } from '../metrics/quantile';
import { ssim } from '../metrics/ssim';
import { mean, standardDeviation } from '../metrics/statistics';
import { perFrame } from '../metrics/video';
import { parseState, type State } from '../nn/state';
import type { Fidelity, Policy } from '../policy/data';
import type { Pair } from '../policy/pair';
import { parsePlainPolicies, plainPolicies } from '../policy/plain';
import { requirePolicy } from '../policy/require-policy';
import { usePolicy } from '../policy/use';
import { requirePipeline } from '../sampling/lifetime';
import type { BatchRequest, Job, Pipeline } from '../sampling/pipeline';
import { policyUse } from '../sampling/policy-use';
import { type RunResult, runJob } from '../sampling/run-job';
import type { LoopOptions } from '../sampling/sample-loop';
import { across, inTurn } from './in-turn';
import { pairsRequest } from './jobs';
import { batches, requirePairs } from './pairs';
import { referenceRun } from './reference';
import { asksWhole, type WholeJob } from './whole-runs';

/** Likeness of one cached output to the uncached one of the same prompt and seed. */
export interface Score {
  /** Peak signal-to-noise ratio of the 8-bit pixels in dB; 100 where none differs. */
  readonly psnr: number;
  /** The same of the pixels in floating point, before they are rounded. */
  readonly floatPsnr: number;
  /** Structural similarity of the 8-bit pixels, at most 1. */
  readonly ssim: number;
}

/**
 * Scores of pictures, or of clips frame by frame and then averaged.
 * @param reference the uncached picture or clip
 * @param media the cached one, of the same shape
 * @returns PSNR and SSIM of the pixels as they are written to files, and PSNR of the pixels in floating point
 * @throws ShapeError when the shapes differ, or the pictures are smaller than 11×11 pixels
 */
export function score(reference: Media, media: Media): Score {
  const [shown, other] = [asWritten(reference), asWritten(media)];
  return {
    psnr: mean(perFrame(psnr, shown, other)),
    floatPsnr: mean(perFrame(psnr, reference, media)),
    ssim: mean(perFrame(ssim, shown, other)),
  };
}

/** Mean, spread, quantiles and shares over pairs. */
export function fidelityOf(scores: readonly Score[]): Fidelity {
  const spread = (values: readonly number[]) => {
    const std = values.length > 1 ? standardDeviation(values) : 0;
    return { mean: mean(values), min: Math.min(...values), std };
  };
  const own = scores.map(s => s.psnr);
  const below = (level: number): number => own.filter(psnr => psnr < level).length / own.length;
  return {
    pairs: scores.length,
    psnr: spread(own),
    floatPsnr: spread(scores.map(s => s.floatPsnr)),
    quantiles: { tenth: quantile(own, 0.1), median: quantile(own, 0.5) },
    below40: below(40),
    below30: below(30),
    ssim: spread(scores.map(s => s.ssim)),
  };
}

/** How a policy is measured. */
export interface MeasureOptions {
  /** How many pairs run at a time. */
  readonly batch: number;
  /** When aborted, measuring ends with an InterruptedError. */
  readonly signal?: AbortSignal | undefined;
  /** Forward passes of one row that have just been done. */
  readonly onPasses?: ((count: number) => void) | undefined;
}

/**
 * Compares a policy with the uncached run on `pairs`.
 * @param pipeline the loaded model; it stays the caller's
 * @param policy a calibrated policy; steps and guidance are taken from it
 * @param pairs prompts and seeds, best those that calibration did not see
 * @param options how many pairs run at a time, and a signal to stop
 * @returns mean, worst, spread and quantiles of PSNR (dB, of 8-bit pixels) and SSIM over the pairs
 * @throws PolicyError when the policy is for another model, sampler or schedule than the pipeline's
 * @throws InterruptedError when `signal` is aborted
 */
export async function measurePolicy(
  pipeline: Pipeline,
  policy: Policy,
  pairs: readonly Pair[],
  options: MeasureOptions,
): Promise<Fidelity> {
  requirePipeline('pipeline', pipeline);
  requirePolicy('policy', policy);
  requirePairs('pairs', pairs);
  requireObject('options', options, 'an object with the number of pairs that run at a time, { batch }');
  requireSignal('signal', options.signal);
  return fidelityOf(await scorePolicy(pipeline, policy, pairs, options));
}

/**
 * The likeness of every pair under a policy, in the order of `pairs`.
 * @throws PolicyError when the policy is for another model, sampler or schedule than the pipeline's
 */
export async function scorePolicy(
  pipeline: Pipeline,
  policy: Policy,
  pairs: readonly Pair[],
  options: MeasureOptions,
): Promise<Score[]> {
  const [scores] = await scorePolicies(pipeline, [policy], pairs, options);
  return scores as Score[];
}

/**
 * The same under several policies of one run, such as the budgets of one: the uncached runs are made once.
 * @param policies at least one
 * @returns the scores of every pair, policy by policy
 */
export async function scorePolicies(
  pipeline: Pipeline,
  policies: readonly Policy[],
  pairs: readonly Pair[],
  options: MeasureOptions,
): Promise<Score[][]> {
  const { sigmas, guidance } = (policies[0] as Policy).data;
  const run = { steps: sigmas.length - 1, guidance };
  const { signal, onPasses } = options;
  const groups = await across(pipeline, batches(pairs, options.batch), group => {
    const count = (forwards: number): void => onPasses?.(forwards * group.length);
    return scoreGroup(pipeline, pairsRequest(group, run), policies, { signal, count });
  });
  return policies.map((_, p) => groups.flatMap(group => group[p] as Score[]));
}

interface Counting {
  readonly signal?: AbortSignal | undefined;
  /** Told of forward passes of all rows. */
  readonly count: (forwards: number) => void;
}

/** The scores of every row of a request, policy by policy. */
async function scoreGroup(
  pipeline: Pipeline,
  request: BatchRequest,
  policies: readonly Policy[],
  { signal, count }: Counting,
): Promise<Score[][]> {
  const job = await pipeline.prepare(request, { signal });
  try {
    const caches = cachesOf(pipeline, job, request, policies);
    if (asksWhole(job)) return await farScores(job, policies, { signal, count });
    const loop: LoopOptions = { signal, onStep: ({ forwards }) => count(forwards) };
    const { media } = await runJob(pipeline, job, none(), loop);
    return await scoreCaches(pipeline, job, caches, media, loop);
  } finally {
    job.release();
  }
}

/** @throws PolicyError for a policy that is not for this run */
function cachesOf(
  { info }: Pick<Pipeline, 'info'>,
  job: Job,
  { guidance }: BatchRequest,
  policies: readonly Policy[],
): CachePolicy[] {
  const use = policyUse(info, guidance, job);
  return policies.map(policy => usePolicy(policy, use));
}

const scoreCaches = (
  pipeline: Pipeline,
  job: Job,
  caches: readonly CachePolicy[],
  uncached: readonly Media[],
  loop: LoopOptions,
): Promise<Score[][]> =>
  inTurn(caches, async cache => {
    const { media } = await runJob(pipeline, job, cache, loop);
    return uncached.map((plain, i) => score(plain, media[i] as Media));
  });

const farScoresSchema = z.object({
  scores: z.array(z.array(z.object({ psnr: z.number(), floatPsnr: z.number(), ssim: z.number() }))),
  forwards: z.number(),
});

/** Has all runs made where the model is; the uncached one is the same that a calibration asks for. */
async function farScores(job: WholeJob, policies: readonly Policy[], { signal, count }: Counting): Promise<Score[][]> {
  const taken = site((policies[0] as Policy).data.site);
  const reference = await referenceRun(job, taken, { signal, onStep: () => count(1) });
  try {
    const latents = reference.samples.at(-1) as Tensor;
    const question = { kind: 'scores', policies: plainPolicies(policies), latents };
    const answer = await job.far.ask(question, signal);
    const { scores, forwards } = parseState(farScoresSchema, answer);
    count(forwards);
    return scores;
  } finally {
    reference.dispose();
  }
}

/**
 * Scores policies where the model is.
 * @param asked the policies, and the final latents of the uncached run, which stay the caller's
 */
export async function answerScores(
  pipeline: Pipeline,
  job: Job,
  request: BatchRequest,
  asked: { readonly policies: string; readonly latents: Tensor },
  signal: AbortSignal,
): Promise<State> {
  const caches = cachesOf(pipeline, job, request, parsePlainPolicies(asked.policies));
  const uncached = await pipeline.decode(asked.latents, job.size, { signal });
  let all = 0;
  const onStep: LoopOptions['onStep'] = ({ forwards }) => {
    all += forwards;
  };
  const scores = await scoreCaches(pipeline, job, caches, uncached, { signal, onStep });
  return { scores: scores.map(rows => rows.map(row => ({ ...row }))), forwards: all };
}

/** One request, drawn with every step computed and with a policy. */
export interface BesideRuns {
  readonly uncached: RunResult;
  readonly cached: RunResult;
}

/**
 * Runs a request uncached and with a calibrated policy, from the same noise.
 * @throws PolicyError, before anything is computed, when the policy is not for this run
 */
export async function runBeside(
  pipeline: Pipeline,
  request: BatchRequest,
  policy: Policy,
  loop: LoopOptions = {},
): Promise<BesideRuns> {
  const job = await pipeline.prepare(request, loop);
  try {
    const [cache] = cachesOf(pipeline, job, request, [policy]) as [CachePolicy];
    const uncached = await runJob(pipeline, job, none(), loop);
    return { uncached, cached: await runJob(pipeline, job, cache, loop) };
  } finally {
    job.release();
  }
}
