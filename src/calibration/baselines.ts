import type { ModelFacts } from '../cache/registry';
import type { Job } from '../sampling/pipeline';
import type { LoopOptions } from '../sampling/sample-loop';
import { historyRecord } from './history-fit';
import { ratioRecord } from './magcache-ratios';
import { observeRuns, pairsOf, together } from './observe';
import { changeRecord, fitPolynomial, type PolynomialFit } from './teacache-fit';

/** What the baselines need to know of a model, and how well the polynomial fits. */
export interface BaselineFacts extends ModelFacts {
  readonly fit: PolynomialFit;
}

/** Measures everything that the baselines need in one uncached run of every job. */
export async function measureBaselines(jobs: readonly Job[], options: LoopOptions = {}): Promise<BaselineFacts> {
  const [changes, ratios, history] = [changeRecord(), ratioRecord(), historyRecord()];
  await observeRuns(
    jobs,
    job => together(changes.observer(pairsOf(job)), ratios.observer(), history.observer()),
    options,
  );
  const fit = fitPolynomial(changes.points());
  return { fit, polynomial: fit.coefficients, ratios: ratios.ratios(), history: history.weights() };
}
