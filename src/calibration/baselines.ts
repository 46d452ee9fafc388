import { z } from 'zod';
import type { ModelFacts } from '../cache/registry';
import type { BatchRequest, Job, Pipeline } from '../sampling/pipeline';
import type { LoopOptions } from '../sampling/sample-loop';
import { historyFits, historyRecord } from './history-fit';
import { across } from './in-turn';
import { meanRatios, ratioRecord } from './magcache-ratios';
import { type Observer, observeRuns, pairsOf, together } from './observe';
import { changeRecord, fitPolynomial, type PolynomialFit } from './teacache-fit';

/** What the baselines need to know of a model, and how well the polynomial fits. */
export interface BaselineFacts extends ModelFacts {
  readonly fit: PolynomialFit;
}

/** What can be looked for in uncached runs: for TeaCache's polynomial, MagCache's ratios, L2P's weights. */
export const sights = ['changes', 'ratios', 'history'] as const;
export type Sight = (typeof sights)[number];

/** Also what is not finite: whoever fits refuses it. */
const number = z.custom<number>(value => typeof value === 'number', 'must be a number');

/** What the uncached runs of one job show, as plain numbers: those of many are fitted together, in the jobs' order. */
export const sightingsSchema = z.object({
  changes: z.array(z.object({ input: number, output: number })),
  /** `[step][row seen]` */
  ratios: z.array(z.array(number)),
  /** `[step][step before][branch seen]` */
  history: z.array(z.array(z.array(number))),
});
export type Sightings = z.infer<typeof sightingsSchema>;

/** Runs a job uncached, and looks for what is wanted; the rest stays empty. */
export async function sightings(job: Job, wanted: readonly Sight[], options: LoopOptions = {}): Promise<Sightings> {
  const [changes, ratios, history] = [changeRecord(), ratioRecord(), historyRecord()];
  const observers: Readonly<Record<Sight, () => Observer>> = {
    changes: () => changes.observer(pairsOf(job)),
    ratios: ratios.observer,
    history: history.observer,
  };
  await observeRuns([job], () => together(...wanted.map(each => observers[each]())), options);
  return { changes: [...changes.points()], ratios: ratios.seen(), history: history.seen() };
}

/** The same of a request. */
export async function sightingsOf(
  pipeline: Pipeline,
  request: BatchRequest,
  wanted: readonly Sight[],
  options: LoopOptions = {},
): Promise<Sightings> {
  const job = await pipeline.prepare(request, options);
  try {
    return await sightings(job, wanted, options);
  } finally {
    job.release();
  }
}

/** What sightings of everything come to. */
export function factsOf(seen: readonly Sightings[]): BaselineFacts {
  const fit = fitPolynomial(seen.flatMap(({ changes }) => changes));
  return {
    fit,
    polynomial: fit.coefficients,
    ratios: meanRatios(seen.map(({ ratios }) => ratios)),
    history: historyFits(seen.map(({ history }) => history)),
  };
}

/** Measures everything that the baselines need in one uncached run of every job. */
export async function measureBaselines(jobs: readonly Job[], options: LoopOptions = {}): Promise<BaselineFacts> {
  return factsOf(await across(jobs[0], jobs, job => sightings(job, sights, options)));
}
