import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { anyState, type Keeper, parseState, type Resumable, stateless, tensorState } from '../nn/state';
import type { Evaluation } from './evaluation';
import { type BranchCache, type Decision, type StepInfo, tensorBytes } from './policy';
import { type History, type Predictor, reuseLast } from './predictor';
import type { Site } from './sites';

/** A model's output at one step, and the residual that it was taken from or is rebuilt with. */
export interface WithResidual {
  readonly output: Tensor;
  readonly residual: Tensor;
}

/**
 * What one guidance branch keeps of its computed steps. Looking and keeping are apart, so that calibration can see the
 * computed and the rebuilt output of one step and decide afterwards which of them the step goes on with.
 */
export interface ResidualHistory extends Resumable {
  /** The output rebuilt from what is kept, both tensors the caller's; nothing where nothing is kept yet. */
  rebuild(step: StepInfo, evaluation: Evaluation): WithResidual | undefined;
  /** Runs the model and keeps nothing; both tensors are the caller's. */
  capture(evaluation: Evaluation): Promise<WithResidual>;
  /** Keeps the residual of a computed step, which stays the caller's too. */
  keep(step: StepInfo, residual: Tensor): void;
  /** Bytes of what is kept. */
  bytes(): number;
  /** Releases what is kept. */
  dispose(): void;
}

const historyForm = z.array(z.object({ sigma: z.number(), value: tensorState }));

/**
 * An empty history of the residuals of one branch.
 * @param predictor how a later residual is guessed from those kept; it also says how many are kept
 */
export function residualHistory(site: Site, predictor: Predictor): ResidualHistory {
  let history: History<Tensor> = [];
  const forget = (from: number): void => {
    for (const { value } of history.slice(from)) value.dispose();
    history = history.slice(0, from);
  };
  return {
    rebuild(step, evaluation) {
      if (history.length === 0) return undefined;
      const residual = predictor.predict(history, step.sigma);
      try {
        return { output: site.rebuild(evaluation, residual), residual };
      } catch (error) {
        residual.dispose();
        throw error;
      }
    },
    async capture(evaluation) {
      const { output, kept } = await site.capture(evaluation);
      return { output, residual: kept };
    },
    keep(step, residual) {
      history = [{ sigma: step.sigma, value: residual.clone() }, ...history];
      forget(predictor.depth);
    },
    bytes: () => tensorBytes(history.map(h => h.value)),
    state: () => history.map(({ sigma, value }) => ({ sigma, value })),
    restore(state) {
      const kept = parseState(historyForm, state);
      forget(0);
      history = kept.map(({ sigma, value }) => ({ sigma, value: value.clone() }));
    },
    dispose: () => forget(0),
  };
}

/**
 * What distinguishes one method that keeps residuals from another. Its `state` and `restore` are of what `decide` keeps
 * between two steps, where it keeps something.
 */
export interface ResidualOptions extends Keeper {
  /** Where the residual is taken. */
  readonly site: Site;
  /**
   * Asked at every step, before anything is computed. Where nothing is kept yet, the step is computed anyway.
   * @param step where the run stands
   * @param evaluation the model at this latent and time
   * @returns whether to run the model or to rebuild
   */
  decide(step: StepInfo, evaluation: Evaluation): Decision | Promise<Decision>;
  /** How a later residual is guessed from the kept ones; the last one as it is by default. */
  readonly predictor?: Predictor | undefined;
  /** Releases what `decide` holds. */
  dispose?(): void;
  /**
   * Bytes that `decide` holds.
   * @returns bytes
   */
  bytes?(): number;
}

const branchForm = z.object({ history: anyState, decide: anyState });

/**
 * The branch cache of every method that keeps residuals and rebuilds from them.
 * @param options the site, the decision, and how residuals are carried forward
 * @returns the cache of one branch
 * @example
 * const everyOther: CachePolicy = {
 *   name: 'every-other',
 *   begin: () => ({
 *     branch: () =>
 *       residualBranch({ site: site('velocity'), decide: ({ index }) => (index % 2 === 0 ? 'compute' : 'reuse') }),
 *     dispose() {},
 *   }),
 * };
 */
export function residualBranch(options: ResidualOptions): BranchCache {
  const history = residualHistory(options.site, options.predictor ?? reuseLast);
  const { state, restore } = { ...stateless, ...options };
  return {
    async evaluate(step, evaluation) {
      const decision = await options.decide(step, evaluation);
      const rebuilt = decision === 'reuse' ? history.rebuild(step, evaluation) : undefined;
      const { output, residual } = rebuilt ?? (await history.capture(evaluation));
      if (!rebuilt) history.keep(step, residual);
      residual.dispose();
      return { output, decision: rebuilt ? 'reuse' : 'compute' };
    },
    bytes: () => history.bytes() + (options.bytes?.() ?? 0),
    state: () => ({ history: history.state(), decide: state() }),
    restore(given) {
      const kept = parseState(branchForm, given);
      history.restore(kept.history);
      restore(kept.decide);
    },
    dispose() {
      history.dispose();
      options.dispose?.();
    },
  };
}
