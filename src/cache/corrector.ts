import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { release, share } from '../nn/scope';
import { parseState, type State, tensorState } from '../nn/state';
import { type CacheRun, type Decision, type GuidedOutput, type StepInfo, tensorBytes } from './policy';
import type { History } from './predictor';
import { applyAffine, combine, lsqTerms, type Parts, type Rectification } from './rectify';

/** Corrects the outputs of one run, step by step and in order; least squares looks back on computed ones. */
export interface Corrector extends Required<Omit<CacheRun, 'branch'>> {
  /** What a combination may weigh at the coming step, by term; borrowed until `correct` is called. */
  terms(sample: Tensor, output: GuidedOutput): Readonly<Record<string, Tensor>>;
}

/**
 * The corrector of one run. It reads the coefficients of a step when that step comes, so that calibration can fit them
 * on the way: the runs that it fits on are corrected by the code that will correct samples.
 * @param depth how many computed outputs to keep: as many as the weights look back on, unless these are still to come
 */
export function corrector(rectify: Rectification, depth = lookBackOf(rectify)): Corrector {
  const outputs = outputHistory(rectify.form === 'lsq' ? depth : 0);
  const terms: Corrector['terms'] = (sample, output) => lsqTerms(output.parts, sample, outputs.kept());

  function corrected({ index }: StepInfo, sample: Tensor, output: GuidedOutput, decision: Decision): Tensor {
    if (rectify.form === 'lsq') {
      const weights = rectify.steps[index];
      return weights ? combine(weights, terms(sample, output)) : output.value.clone();
    }
    if (rectify.form !== 'off' && decision === 'reuse') {
      const coefficients = rectify.steps[index];
      if (coefficients) return applyAffine(output.value, coefficients, rectify.form, rectify.channelAxis);
    }
    return output.value.clone();
  }

  return {
    terms,
    correct(step, sample, output, decision) {
      const result = corrected(step, sample, output, decision);
      if (decision === 'compute') outputs.remember(step.sigma, output.parts);
      return result;
    },
    bytes: outputs.bytes,
    state: outputs.state,
    restore: outputs.restore,
    dispose: outputs.dispose,
  };
}

/** How many computed outputs a rectification looks back on: the largest age that its terms name. */
export function lookBackOf(rectify: Rectification): number {
  if (rectify.form !== 'lsq') return 0;
  const terms = rectify.steps.flatMap(weights => Object.keys(weights ?? {}));
  return Math.max(0, ...terms.map(ageOf));
}

/** The age that a term such as `conditional.2` names; 0 for the latent and the constant. */
const ageOf = (term: string): number => Number(/\.(\d+)(@\d)?$/.exec(term)?.[1] ?? 0);

const historyForm = z.array(z.object({ sigma: z.number(), value: z.record(z.string(), tensorState) }));

/** The parts of the last `depth` computed outputs. */
function outputHistory(depth: number) {
  let history: History<Parts> = [];
  const forget = (from: number): void => {
    release(history.slice(from));
    history = history.slice(0, from);
  };
  return {
    /** Newest first; borrowed. */
    kept: () => history,
    /** Keeps parts, which stay the caller's too. */
    remember(sigma: number, parts: Parts): void {
      history = [{ sigma, value: share(parts) }, ...history];
      forget(depth);
    },
    bytes: () => tensorBytes(history.flatMap(h => Object.values(h.value))),
    state: (): State => history.map(({ sigma, value }) => ({ sigma, value: { ...value } })),
    restore(state: State): void {
      const kept = parseState(historyForm, state);
      forget(0);
      history = kept.map(({ sigma, value }) => ({ sigma, value: share(value) }));
    },
    dispose: () => forget(0),
  };
}
