import type { ModelFacts } from '../cache/registry';
import type { Pair } from '../policy/data';
import type { Job, Pipeline } from '../sampling/pipeline';
import type { LoopOptions } from '../sampling/sample-loop';
import { inTurn } from './in-turn';
import { ratioRecord } from './magcache-ratios';
import { observeRuns, pairsOf, together } from './observe';
import { changeRecord, fitPolynomial, type PolynomialFit } from './teacache-fit';

/** What the baselines need to know of a model, and how well the polynomial fits. */
export interface BaselineFacts extends ModelFacts {
  readonly fit: PolynomialFit;
}

/** Measures everything that the baselines need in one uncached run of every job. */
export async function measureBaselines(jobs: readonly Job[], options: LoopOptions = {}): Promise<BaselineFacts> {
  const [changes, ratios] = [changeRecord(), ratioRecord()];
  await observeRuns(jobs, job => together(changes.observer(pairsOf(job)), ratios.observer()), options);
  const fit = fitPolynomial(changes.points());
  return { fit, polynomial: fit.coefficients, ratios: ratios.ratios() };
}

/** One job for every pair, as thresholds are tuned on; its caller releases them. */
export function singleJobs(
  pipeline: Pipeline,
  pairs: readonly Pair[],
  run: { readonly steps: number; readonly guidance: number },
): Promise<Job[]> {
  return inTurn(pairs, ({ prompt, seed }) => pipeline.prepare({ prompts: [prompt], seeds: [seed], ...run }));
}
