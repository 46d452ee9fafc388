import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { PolicyError } from '../errors';
import { requireList } from '../io/arguments';
import { parseState, tensorState } from '../nn/state';
import { relativeChange } from './change';
import { type Evaluation, partsOf } from './evaluation';
import { type CachePolicy, type Decision, type StepInfo, tensorBytes } from './policy';
import { residualBranch } from './residual';
import { site } from './sites';
import { requireThreshold } from './threshold';

/** What TeaCache decided a step on. */
export interface TeaCacheSignal {
  /** The model's signal at this step; borrowed. */
  readonly modulated: Tensor;
  /** Its relative change since the step before; -1 where the step was computed without asking. */
  readonly relL1: number;
  /** The change of the output that the polynomial expects; -1 where the step was computed without asking. */
  readonly rescaled: number;
  /** Sum of these since the last computed step, this step included. */
  readonly accumulated: number;
  /** The same after the decision: 0 where the step was computed. */
  readonly accumulatedAfter: number;
}

const stateForm = z.object({ before: tensorState.nullable(), accumulated: z.number() });

/** Settings of TeaCache. */
export interface TeaCacheOptions {
  /** Reuse while the accumulated change is below this. */
  readonly threshold: number;
  /** Polynomial from relative input change to relative output change, highest power first. */
  readonly coefficients: readonly number[];
  /** Told at every step of every branch what it was decided on. */
  readonly onSignal?: ((step: StepInfo, signal: TeaCacheSignal) => void) | undefined;
}

/**
 * TeaCache (arXiv 2411.19108; `teacache_forward` of its repository): the change of the modulated input of the first
 * block, rescaled by a polynomial, is summed over the steps since the last computed one; a step is computed when the
 * sum reaches the threshold. The first and the last step always are. Reuse adds the residual of all blocks.
 *
 * A batch is decided on as one, by its mean.
 * @param options threshold, polynomial, and who is told of the decisions
 * @returns the caching method; for models that can be cut in three
 * @throws PolicyError for a threshold or coefficients that cannot be right
 */
export function teacache({ threshold, coefficients, onSignal }: TeaCacheOptions): CachePolicy {
  requireThreshold('TeaCache', threshold);
  requireList('coefficients', coefficients, value => typeof value === 'number', 'numbers, highest power first');
  if (coefficients.length === 0 || !coefficients.every(Number.isFinite)) {
    throw new PolicyError('TeaCache needs a polynomial of finite coefficients.', {
      hint: 'Fit one with `ertacache calibrate --method teacache`.',
    });
  }
  return {
    name: 'teacache',
    isDynamic: true,
    begin: () => ({
      branch() {
        let before: Tensor | undefined;
        let accumulated = 0;

        async function decide(step: StepInfo, evaluation: Evaluation): Promise<Decision> {
          const modulated = await partsOf(evaluation, 'TeaCache').signal();
          const forced = !before || step.index === 0 || step.index === step.steps - 1;
          const relL1 = before && !forced ? await relativeChange(modulated, before) : -1;
          before?.dispose();
          before = modulated;

          const rescaled = forced ? -1 : evaluatePolynomial(coefficients, relL1);
          accumulated = forced ? 0 : accumulated + rescaled;
          // In this order, a sum that is not a number computes.
          const decision = !forced && accumulated < threshold ? 'reuse' : 'compute';
          const accumulatedAfter = decision === 'reuse' ? accumulated : 0;
          onSignal?.(step, { modulated, relL1, rescaled, accumulated, accumulatedAfter });
          accumulated = accumulatedAfter;
          return decision;
        }

        return residualBranch({
          site: site('hidden'),
          decide,
          bytes: () => tensorBytes([before]),
          state: () => ({ before: before ?? null, accumulated }),
          restore(state) {
            const kept = parseState(stateForm, state);
            before?.dispose();
            before = kept.before?.clone();
            accumulated = kept.accumulated;
          },
          dispose: () => before?.dispose(),
        });
      },
      dispose() {},
    }),
  };
}

/** Horner's rule; coefficients from the highest power down. */
export function evaluatePolynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, c) => sum * x + c, 0);
}
