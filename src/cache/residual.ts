import type { Tensor } from '@tensorflow/tfjs-core';
import type { Evaluation } from './evaluation';
import { type BranchCache, type Decision, type StepInfo, tensorBytes } from './policy';
import { type History, type Predictor, reuseLast } from './predictor';
import type { Site } from './sites';

/** What distinguishes one method that keeps residuals from another. */
export interface ResidualOptions {
  readonly site: Site;
  /** Asked at every step, before anything is computed. Where nothing is kept yet, the step is computed anyway. */
  decide(step: StepInfo, evaluation: Evaluation): Decision | Promise<Decision>;
  /** How a later residual is guessed from the kept ones; the last one as it is unless told. */
  readonly predictor?: Predictor;
  /** Releases what `decide` holds. */
  dispose?(): void;
  /** Bytes that `decide` holds. */
  bytes?(): number;
}

/** The branch cache of every method that keeps residuals and rebuilds from them. */
export function residualBranch(options: ResidualOptions): BranchCache {
  const predictor = options.predictor ?? reuseLast;
  let history: History<Tensor> = [];
  const forget = (from: number): void => {
    for (const { value } of history.slice(from)) value.dispose();
    history = history.slice(0, from);
  };
  return {
    async evaluate(step, evaluation) {
      const decision = await options.decide(step, evaluation);
      if (decision === 'reuse' && history.length > 0) {
        const kept = predictor.predict(history, step.sigma);
        const output = options.site.rebuild(evaluation, kept);
        kept.dispose();
        return { output, decision };
      }
      const { output, kept } = await options.site.capture(evaluation);
      history = [{ sigma: step.sigma, value: kept }, ...history];
      forget(predictor.depth);
      return { output, decision: 'compute' };
    },
    bytes: () => tensorBytes(history.map(h => h.value)) + (options.bytes?.() ?? 0),
    dispose() {
      forget(0);
      options.dispose?.();
    },
  };
}
