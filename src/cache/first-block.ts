import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { release, share, tidy } from '../nn/scope';
import { parseState, tensorState } from '../nn/state';
import type { Tokens } from '../transformer/denoiser';
import { relativeChange } from './change';
import { partsOf } from './evaluation';
import { type BranchCache, type CachePolicy, type StepInfo, tensorBytes } from './policy';
import { requireThreshold } from './threshold';

/** Settings of the first-block cache. */
export interface FirstBlockOptions {
  /** Reuse while the first block's residual has changed by no more than this since the last computed step. */
  readonly threshold: number;
  /** Told at every step of every branch the relative change; -1 where there is nothing to compare with. */
  readonly onSignal?: ((step: StepInfo, change: number) => void) | undefined;
}

/**
 * First-block cache (ParaAttention; diffusers `FirstBlockCacheConfig`): the first block always runs, and the change of
 * what it adds to the image tokens says whether the rest does. Reuse adds what the other blocks added, to image and
 * text tokens. A reused step costs one block.
 *
 * A batch is decided on as one, by its mean.
 * @param options the threshold, and who is told of the changes
 * @returns the caching method; for models that can be cut in three
 * @throws PolicyError for a threshold that is not a number from 0 up
 */
export function firstBlock({ threshold, onSignal }: FirstBlockOptions): CachePolicy {
  requireThreshold('first-block cache', threshold);
  return {
    name: 'fbcache',
    isDynamic: true,
    begin: () => ({ branch: () => firstBlockBranch(threshold, onSignal), dispose() {} }),
  };
}

const stateForm = z
  .object({
    first: tensorState,
    rest: z
      .object({ hidden: tensorState, context: tensorState.optional() })
      .transform(({ hidden, context }): Tokens => ({ hidden, ...(context && { context }) })),
  })
  .nullable();

function firstBlockBranch(threshold: number, onSignal: FirstBlockOptions['onSignal']): BranchCache {
  /** Of the last computed step: what the first block added to the image, and the other blocks to both streams. */
  let kept: { readonly first: tf.Tensor; readonly rest: Tokens } | undefined;
  return {
    async evaluate(step, evaluation) {
      const parts = partsOf(evaluation, 'First-block cache');
      const { tokens, shared } = parts.embed();
      const after = await parts.blocks({ tokens, shared }, { to: 1 });
      let first: tf.Tensor | undefined;
      let last: Tokens | undefined;
      try {
        first = tf.tidy(() => tf.sub(after.hidden, tokens.hidden));
        const change = kept ? await relativeChange(first, kept.first) : -1;
        onSignal?.(step, change);

        // In this order, a change that is not a number computes.
        if (kept && change <= threshold) {
          const { rest } = kept;
          return { output: tf.tidy(() => parts.head(combined(tf.add, after, rest))), decision: 'reuse' };
        }
        const whole = await parts.blocks({ tokens: after, shared }, { from: 1 });
        last = whole;
        release(kept);
        kept = { first: first.clone(), rest: tidy(() => combined(tf.sub, whole, after)) };
        return { output: parts.head(whole), decision: 'compute' };
      } finally {
        release([first, after, last]);
      }
    },
    bytes: () => tensorBytes([kept?.first, kept?.rest.hidden, kept?.rest.context]),
    state: () => (kept ? { first: kept.first, rest: { ...kept.rest } } : null),
    restore(state) {
      const given = parseState(stateForm, state);
      release(kept);
      kept = given ? { first: given.first.clone(), rest: share(given.rest) } : undefined;
    },
    dispose: () => release(kept),
  };
}

/** A sum or difference of both streams. */
function combined(of: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, a: Tokens, b: Tokens): Tokens {
  return {
    hidden: of(a.hidden, b.hidden),
    ...(a.context && b.context && { context: of(a.context, b.context) }),
  };
}
