import type { Tensor } from '@tensorflow/tfjs-core';
import { evaluateFunction } from '../../cache/evaluation';
import { isObject, wrongArgument } from '../../io/arguments';
import { type Branch, denoiserBranch, type Guide, separateGuidance, single, unguided } from '../guidance';
import { denoiserOf, type VelocityParts } from './parts';

/**
 * Any function that predicts how a latent changes: a LayersModel, a GraphModel, plain operations.
 *
 * `x` is the latent, of any shape whose first axis is the batch; it is lent, as are tensors in `ctx`. `t` is the time
 * in the function's own units (what the scheduler makes of the noise level). The tensor that it returns, of `x`'s
 * shape, is taken over. What a synchronous function leaves behind besides is cleared away; a function that returns a
 * promise disposes its own intermediate tensors.
 * @param x the latent `[B, …]`; it stays the caller's
 * @param t the time, in the function's own units
 * @param ctx what the caller of the loop gave as `ctx`
 * @returns the velocity, of `x`'s shape; it is taken over
 */
export type Velocity<Ctx = unknown> = (x: Tensor, t: number, ctx: Ctx) => Tensor | Promise<Tensor>;

/** Classifier-free guidance from two predictions, `u + scale · (c - u)`; each is cached on its own. */
export interface GuidedVelocity<Ctx = unknown> {
  /** The prediction for the prompt or label. */
  readonly conditional: Velocity<Ctx> | VelocityParts<Ctx>;
  /** The prediction without it, or for what to steer away from. */
  readonly unconditional: Velocity<Ctx> | VelocityParts<Ctx>;
  /** Strength of guidance; at 1 the result is the conditional prediction. */
  readonly scale: number;
}

/** What can be cached and calibrated: a function, its three parts, or a guided pair of either. */
export type VelocitySource<Ctx = unknown> = Velocity<Ctx> | VelocityParts<Ctx> | GuidedVelocity<Ctx>;

/** The strength of guidance that a policy belongs to; 1 where there is none. */
export function guidanceOf<Ctx>(source: VelocitySource<Ctx>): number {
  requireVelocity('velocity', source);
  return 'conditional' in source ? source.scale : 1;
}

/** The branches of a source and how they are guided. `ctx` is asked at every evaluation. */
export function branchesOf<Ctx>(
  source: VelocitySource<Ctx>,
  ctx: () => Ctx,
): { readonly branches: readonly Branch[]; readonly guide: Guide } {
  requireVelocity('velocity', source);
  if (!('conditional' in source)) return { branches: [branchOf('only', source, ctx)], guide: unguided };
  return {
    branches: [branchOf('conditional', source.conditional, ctx), branchOf('unconditional', source.unconditional, ctx)],
    guide: separateGuidance(source.scale),
  };
}

const ALLOWED = 'a function (x, t) of a latent and a time, its three parts { embed, blocks, head }, or a guided pair';

/** @throws UsageError unless a value can be called as a velocity, or naming the part of it that cannot */
function requireVelocity(name: string, source: unknown): void {
  if (typeof source === 'function') return;
  if (!isObject(source)) throw wrongArgument(name, source, ALLOWED);
  if ('conditional' in source) {
    requireVelocity(`${name}.conditional`, source.conditional);
    requireVelocity(`${name}.unconditional`, source.unconditional);
    if (Number.isFinite(source.scale)) return;
    throw wrongArgument(`${name}.scale`, source.scale, 'a number');
  }
  const { embed, blocks, head } = source;
  const all = [embed, head, ...[blocks].flat()];
  if (!all.every(part => typeof part === 'function')) throw wrongArgument(name, source, ALLOWED);
}

function branchOf<Ctx>(name: string, source: Velocity<Ctx> | VelocityParts<Ctx>, ctx: () => Ctx): Branch {
  if (typeof source === 'function') {
    return { name, evaluate: (sample, t) => evaluateFunction(sample, x => source(x, t, ctx())) };
  }
  const model = denoiserOf(source, ctx);
  return denoiserBranch({ name, model, context: undefined, expand: single });
}
