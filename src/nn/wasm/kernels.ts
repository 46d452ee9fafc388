import type * as tf from '@tensorflow/tfjs-core';
import { activeKernels, runKernel } from './run';

/** What may follow a product at no cost; the module's numbers of them. */
const ACTIVATIONS = { silu: 1, geluTanh: 2 } as const;
export type KernelActivation = keyof typeof ACTIVATIONS;

/** Columns of a product that are computed together. */
const PANEL = 8;

/** Kernels of rows work on four values at a time; other widths are left to tfjs. */
export const fitsRows = (width: number): boolean => width > 0 && width % 4 === 0;

/** `activation(a · b + bias) · times`; `a` `[m, k]`, `b` `[k, n]`, `bias` `[n]`, `times` `[m, n]`. */
export function kernelProduct(
  a: tf.Tensor,
  b: tf.Tensor,
  bias?: tf.Tensor,
  { activation, times }: { readonly activation?: KernelActivation; readonly times?: tf.Tensor } = {},
): tf.Tensor {
  const [m, k] = a.shape as [number, number];
  const n = b.shape[1] as number;
  const kind = activation ? ACTIVATIONS[activation] : 0;
  return runKernel(
    { a, b, bias, times },
    {
      shape: [m, n],
      scratch: activeKernels().productScratch(k),
      shares: Math.ceil(n / PANEL),
      cost: 2 * m * k * n,
      call: (at, out) => ['product', at('a'), at('b'), out, m, k, n, at('bias'), kind, at('times')],
    },
  );
}

/**
 * Attention as `nn/attention` describes it.
 * @param bias `[1 or B, 1 or H, 1 or Nq, Nk]`
 */
export function kernelAttention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  scale: number,
  bias: tf.Tensor | undefined,
): tf.Tensor {
  const [batch, queries, heads, width] = q.shape as [number, number, number, number];
  const [keys, valueWidth] = [k.shape[1] as number, v.shape[3] as number];
  const strides = bias ? [0, 1, 2].map(axis => (bias.shape[axis] === 1 ? 0 : 4 * bias.strides[axis]!)) : [0, 0, 0];
  return runKernel(
    { q, k, v, bias },
    {
      shape: [batch, queries, heads * valueWidth],
      scratch: activeKernels().attendScratch(keys, width, valueWidth),
      shares: batch * heads,
      cost: 2 * batch * heads * queries * keys * (width + valueWidth),
      call: (at, out) => [
        ...(['attend', at('q'), at('k'), at('v'), out] as const),
        ...([batch, heads, queries, keys, width, valueWidth, scale] as const),
        ...([at('bias'), ...strides] as [number, number, number, number]),
      ],
    },
  );
}

/** A layer norm's own weights, and those that modulate it: `[B, 1, D]`, or one row for all. */
export interface KernelAffine {
  readonly weight?: tf.Tensor | undefined;
  readonly bias?: tf.Tensor | undefined;
  readonly scale?: tf.Tensor | undefined;
  readonly shift?: tf.Tensor | undefined;
}

const sizes = (x: tf.Tensor): { rows: number; width: number } => {
  const width = x.shape.at(-1) as number;
  return { rows: x.size / width, width };
};

/** What a pass over rows makes, and what it costs: some operations for every value. */
const byRows = ({ shape, size }: tf.Tensor, rows: number) => ({ shape, shares: rows, cost: 10 * size });

/** Layer norm over the last axis, with what `affine` holds; `scale` and `shift` go together. */
export function kernelLayerNorm(x: tf.Tensor, eps: number, affine: KernelAffine = {}): tf.Tensor {
  const { rows, width } = sizes(x);
  const ofGroup = affine.scale ? rows / (affine.scale.size / width) : rows;
  return runKernel(
    { x, ...affine },
    {
      ...byRows(x, rows),
      call: (at, out) => [
        ...(['layerNorm', at('x'), out, rows, width, eps] as const),
        ...([at('weight'), at('bias'), at('scale'), at('shift'), ofGroup] as const),
      ],
    },
  );
}

/** RMS norm over the last axis. */
export function kernelRmsNorm(x: tf.Tensor, weight: tf.Tensor, eps: number): tf.Tensor {
  const { rows, width } = sizes(x);
  return runKernel(
    { x, weight },
    {
      ...byRows(x, rows),
      call: (at, out) => ['rmsNorm', at('x'), out, rows, width, eps, at('weight')],
    },
  );
}

/** How `kernelRotate` turns: which channels are a pair, and the norm before. */
export interface KernelTurn {
  readonly halves: boolean;
  readonly weight?: tf.Tensor;
  readonly eps?: number;
  readonly factor?: number;
}

/** Rotary positions, `x` `[B, N, H, d]`, `cos` and `sin` `[N, d]`; with `weight`, after an RMS norm of every head. */
export function kernelRotate(x: tf.Tensor, cos: tf.Tensor, sin: tf.Tensor, turn: KernelTurn): tf.Tensor {
  const { rows, width } = sizes(x);
  const [, tokens, heads] = x.shape as [number, number, number];
  const { halves, weight, eps = 0, factor = 1 } = turn;
  return runKernel(
    { x, cos, sin, weight },
    {
      ...byRows(x, rows),
      call: (at, out) => [
        ...(['rotate', at('x'), out, rows, heads, width, tokens] as const),
        ...([at('cos'), at('sin'), Number(halves), at('weight'), eps, factor] as const),
      ],
    },
  );
}

/** `a + gate · b`; `gate` `[B, 1, D]`, one row for all tokens of an image. */
export function kernelGated(a: tf.Tensor, gate: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const { rows, width } = sizes(a);
  const ofGroup = rows / (gate.size / width);
  return runKernel(
    { a, gate, b },
    {
      ...byRows(a, rows),
      call: (at, out) => ['gated', at('a'), at('gate'), at('b'), out, rows, width, ofGroup],
    },
  );
}

/** An activation by itself. */
export function kernelActivation(x: tf.Tensor, activation: KernelActivation): tf.Tensor {
  return runKernel(
    { x },
    {
      ...byRows(x, x.size / 4),
      call: (at, out) => ['activate', at('x'), out, x.size, ACTIVATIONS[activation]],
    },
  );
}
