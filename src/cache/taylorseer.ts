import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { PolicyError, UnsupportedError } from '../errors';
import { release } from '../nn/scope';
import { anyState, parseState, type Resumable, tensorState } from '../nn/state';
import type { Tap } from '../transformer/denoiser';
import { partsOf } from './evaluation';
import { type BranchCache, type CachePolicy, type Decision, tensorBytes } from './policy';

/** Settings of TaylorSeer. */
export interface TaylorSeerOptions {
  /** Compute every so many steps; `cache_interval` of the reference, 5 unless given. */
  readonly interval?: number | undefined;
  /** Highest order of the Taylor polynomial: 0 reuses, 1 extrapolates; 1 unless given. */
  readonly order?: number | undefined;
  /** Steps before this one are computed; `disable_cache_before_step`, 3 unless given. */
  readonly warmUp?: number | undefined;
  /** Steps from this one are computed; `disable_cache_after_step`, none unless given. */
  readonly coolDown?: number | undefined;
  /** Predicts the model's output and runs no block, instead of predicting attention only. */
  readonly lite?: boolean | undefined;
}

/**
 * TaylorSeer (arXiv 2503.06923; diffusers `TaylorSeerCacheConfig`): at most steps the output of every self-attention
 * is predicted by a Taylor polynomial in the step number, from finite differences of the steps that computed it;
 * everything else runs. The lite form runs no block and predicts the output projection; what follows that only
 * reorders, so it is the model's output that is predicted here, and the form serves any model.
 *
 * A predicted step costs the blocks without their attention (see `attentionShare`), or nothing in the lite form.
 * @param options interval, order, warm-up and form; as in the reference by default
 * @returns the caching method; unless `lite`, for models whose blocks report their attention
 * @throws PolicyError for settings out of range
 */
export function taylorseer(options: TaylorSeerOptions = {}): CachePolicy {
  requireTaylorSeer(options);
  const { order = 1, lite = false } = options;
  return {
    name: lite ? 'taylorseer-lite' : 'taylorseer',
    begin: ({ steps }) => {
      const plan = taylorseerPlan(steps, options);
      return {
        branch: () => (lite ? outputBranch(plan, order) : attentionBranch(plan, order)),
        dispose() {},
      };
    },
  };
}

/** The decision of every step of a run. */
export function taylorseerPlan(steps: number, options: TaylorSeerOptions = {}): Decision[] {
  const { interval = 5, warmUp = 3, coolDown = Number.POSITIVE_INFINITY } = options;
  return Array.from({ length: steps }, (_, step) => {
    // At the first step there is nothing to predict from, even without a warm-up.
    const computed = step === 0 || step < warmUp || step >= coolDown || (step - warmUp - 1) % interval === 0;
    return computed ? 'compute' : 'reuse';
  });
}

/** Results of one module at the last computed step, and their finite differences. */
interface Differences extends Resumable {
  /** Results of a computed step; copies are kept. */
  update(step: number, results: readonly tf.Tensor[]): void;
  /** New tensors, which the enclosing `tidy` may clear away. */
  predict(step: number): tf.Tensor[];
  tensors(): readonly tf.Tensor[];
}

const differencesForm = z.object({ factors: z.array(z.array(tensorState)), updated: z.int() });

function differences(order: number): Differences {
  /** `[result][order]`. */
  let factors: tf.Tensor[][] = [];
  let updated = 0;
  return {
    update(step, results) {
      const next = results.map((result, r) => {
        const fresh = [tf.keep(result.clone())];
        // Each order needs one more computed step than the order below.
        for (const before of (factors[r] ?? []).slice(0, order)) {
          fresh.push(tf.keep(tf.tidy(() => tf.div(tf.sub(fresh.at(-1) as tf.Tensor, before), step - updated))));
        }
        return fresh;
      });
      release(factors);
      factors = next;
      updated = step;
    },
    predict(step) {
      const distance = step - updated;
      return factors.map(([value, ...higher]) =>
        tf.tidy(() => {
          let sum = tf.clone(value as tf.Tensor);
          let coefficient = 1;
          for (const [i, factor] of higher.entries()) {
            coefficient *= distance / (i + 1);
            sum = tf.add(sum, tf.mul(factor, coefficient));
          }
          return sum;
        }),
      );
    },
    tensors: () => factors.flat(),
    state: () => ({ factors, updated }),
    restore(state) {
      const kept = parseState(differencesForm, state);
      release(factors);
      factors = kept.factors.map(orders => orders.map(factor => tf.keep(factor.clone())));
      updated = kept.updated;
    },
  };
}

function attentionBranch(plan: readonly Decision[], order: number): BranchCache {
  const modules = new Map<string, Differences>();
  const tensors = (): tf.Tensor[] => [...modules.values()].flatMap(m => m.tensors());

  const tapAt = (step: number, decision: Decision): Tap => {
    return (name, compute) => {
      if (!name.endsWith('.attention')) return compute();
      const known = modules.get(name);
      if (decision === 'reuse' && known) {
        const predicted = known.predict(step);
        return (predicted.length === 1 ? predicted[0] : predicted) as ReturnType<typeof compute>;
      }
      const result = compute();
      const module = known ?? differences(order);
      modules.set(name, module);
      module.update(step, [result].flat() as tf.Tensor[]);
      return result;
    };
  };

  return {
    async evaluate({ index }, evaluation) {
      const parts = partsOf(evaluation, 'TaylorSeer');
      // Nothing is known either where another model takes over.
      const decision = modules.size === 0 ? 'compute' : (plan[index] as Decision);
      const stream = parts.embed();
      const tokens = await parts.blocks(stream, { tap: tapAt(index, decision) });
      let output: tf.Tensor;
      try {
        output = parts.head(tokens);
      } finally {
        release(tokens);
      }
      if (modules.size === 0) {
        output.dispose();
        throw new UnsupportedError('TaylorSeer predicts attention, and this model shows none through its tap.', {
          hint: 'Use the lite form, which predicts the output.',
        });
      }
      return { output, decision };
    },
    bytes: () => tensorBytes(tensors()),
    state: () => Object.fromEntries([...modules].map(([name, module]) => [name, module.state()])),
    restore(state) {
      const kept = Object.entries(parseState(z.record(z.string(), anyState), state));
      release(tensors());
      modules.clear();
      for (const [name, own] of kept) {
        const module = differences(order);
        module.restore(own);
        modules.set(name, module);
      }
    },
    dispose: () => release(tensors()),
  };
}

function outputBranch(plan: readonly Decision[], order: number): BranchCache {
  const module = differences(order);
  return {
    async evaluate({ index }, evaluation) {
      // Nothing is known either where another model takes over.
      const decision = module.tensors().length === 0 ? 'compute' : (plan[index] as Decision);
      if (decision === 'reuse') return { output: module.predict(index)[0] as tf.Tensor, decision };
      const output = await evaluation.compute();
      module.update(index, [output]);
      return { output, decision };
    },
    bytes: () => tensorBytes(module.tensors()),
    state: module.state,
    restore: module.restore,
    dispose: () => release(module.tensors()),
  };
}

function requireTaylorSeer({ interval = 5, order = 1, warmUp = 3, coolDown }: TaylorSeerOptions): void {
  const whole = (value: number, least: number): boolean => Number.isInteger(value) && value >= least;
  if (whole(interval, 1) && whole(order, 0) && whole(warmUp, 0) && (coolDown === undefined || whole(coolDown, 0)))
    return;
  throw new PolicyError(
    `TaylorSeer cannot compute every ${interval} steps at order ${order} after ${warmUp} steps${coolDown === undefined ? '' : ` and from step ${coolDown}`}.`,
    { hint: 'All are whole numbers from 0, and the interval from 1.' },
  );
}
