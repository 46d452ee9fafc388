import * as tf from '@tensorflow/tfjs-core';
import type { Layout, Parameter } from '../parameters';
import type { Rows } from './modules';
import type { Change } from './plan';
import type { Factor, Magnitude, Pair, Term } from './terms';

/** A tensor of an adapter as a matrix: what comes after its first axis are columns. */
export interface Matrix {
  readonly data: Float32Array;
  readonly shape: [number, number];
}

/** A change whose tensors are in memory, of the rows that a parameter has of it. */
export interface ReadChange extends Pick<Change, 'terms' | 'magnitude' | 'rows'> {
  /** By how much it is multiplied. */
  readonly scale: number;
  readonly tensors: ReadonlyMap<string, Matrix>;
  /** Norms of the columns before they are changed, where they go through more rows than the parameter's. */
  readonly norms?: Float32Array | undefined;
}

/**
 * A weight with some changes, all of it float32 and laid out for layers. Sums are made first: several low-rank updates
 * are one product. A DoRA takes what was merged before it for the weight.
 * @param weights stays the caller's
 * @returns the caller's
 */
export function changed(weights: tf.Tensor, changes: readonly ReadChange[], parameter: Parameter): tf.Tensor {
  return tf.tidy(() => {
    let current = weights;
    let sum: ReadChange[] = [];
    for (const change of changes) {
      sum.push(change);
      if (!change.magnitude) continue;
      current = normed(tf.add(current, deltaOf(sum, parameter)), change, parameter);
      sum = [];
    }
    return sum.length > 0 ? tf.add(current, deltaOf(sum, parameter)) : current;
  });
}

/** What is added, laid out as the parameter. */
function deltaOf(changes: readonly ReadChange[], parameter: Parameter): tf.Tensor {
  const all = changes.flatMap(change => change.terms.map(term => ({ change, term })));
  const products = all.flatMap(({ change, term }) =>
    term.kind === 'product' ? [{ change, pair: term.pair, by: change.scale * term.factor }] : [],
  );
  const others = all.filter(({ term }) => term.kind !== 'product');
  const parts = [
    ...(products.length > 0 ? [laidOut(productOf(products), parameter)] : []),
    ...others.map(({ change, term }) => laidOut(summand(change, term, change.scale * term.factor), parameter)),
  ];
  return parts.reduce((a, b) => tf.add(a, b));
}

/** A matrix whose transpose may be had for less than by transposing it. */
interface Turnable {
  stored(): tf.Tensor2D;
  turned(): tf.Tensor2D;
}

/** A matrix `[out, in …]` in the order that layers want. */
function laidOut(matrix: Turnable | tf.Tensor2D, { shape, layout }: Parameter): tf.Tensor {
  const turnable = matrix instanceof tf.Tensor ? { stored: () => matrix, turned: () => tf.transpose(matrix) } : matrix;
  if (layout === 'matrix') return turnable.turned();
  const stored = tf.reshape(turnable.stored(), [...shape]);
  if (layout === 'plain') return stored;
  return tf.transpose(stored, [...shape.keys()].slice(2).concat(1, 0));
}

/** Products of small ranks as one of the sum of the ranks: the update is written once. */
function productOf(
  products: readonly { readonly change: ReadChange; readonly pair: Pair; readonly by: number }[],
): Turnable {
  const [as, bs] = [
    products.map(({ change, pair, by }) => tf.mul(tensorOf(change, pair.a), by) as tf.Tensor2D),
    products.map(({ change, pair }) => tensorOf(change, pair.b)),
  ];
  const a = as.length === 1 ? as[0]! : tf.concat(as, 1);
  const b = bs.length === 1 ? bs[0]! : tf.concat(bs, 0);
  return {
    stored: () => tf.matMul(a, b),
    turned: () => tf.matMul(tf.transpose(b) as tf.Tensor2D, tf.transpose(a) as tf.Tensor2D),
  };
}

/** A term, multiplied where it is smallest. */
function summand(change: ReadChange, term: Term, by: number): tf.Tensor2D {
  switch (term.kind) {
    case 'product':
      return whole(change, term.pair, by);
    case 'hadamard':
      return tf.mul(whole(change, term.pairs[0], by), whole(change, term.pairs[1]));
    case 'kronecker':
      return kronecker(whole(change, term.factors[0], by), whole(change, term.factors[1]), change.rows);
    case 'difference':
      return tf.mul(tensorOf(change, term.tensor), by);
  }
}

function whole(change: ReadChange, factor: Factor, by = 1): tf.Tensor2D {
  const times = (name: string): tf.Tensor2D => (by === 1 ? tensorOf(change, name) : tf.mul(tensorOf(change, name), by));
  return typeof factor === 'string' ? times(factor) : tf.matMul(times(factor.a), tensorOf(change, factor.b));
}

/** Some rows of the Kronecker product of two matrices. */
function kronecker(a: tf.Tensor2D, b: tf.Tensor2D, rows: Rows): tf.Tensor2D {
  const [, columns1] = a.shape;
  const [rows2, columns2] = b.shape;
  const runs = rows.map(([first, end]) => {
    // A row of the first matrix makes as many as the second one has.
    const [from, to] = [Math.floor(first / rows2), Math.ceil(end / rows2)];
    const some = tf.slice(a, [from, 0], [to - from, columns1]);
    const product = tf.mul(tf.reshape(some, [to - from, 1, columns1, 1]), tf.reshape(b, [1, rows2, 1, columns2]));
    const matrix = tf.reshape(product, [(to - from) * rows2, columns1 * columns2]) as tf.Tensor2D;
    return tf.slice(matrix, [first - from * rows2, 0], [end - first, columns1 * columns2]);
  });
  return runs.length === 1 ? runs[0]! : tf.concat(runs, 0);
}

/** A weight whose rows, or columns, have the norms of a DoRA. */
function normed(weights: tf.Tensor, change: ReadChange, { layout }: Parameter): tf.Tensor {
  const { of, tensor } = change.magnitude!;
  const squares = squaredNorms(weights, of, layout);
  const norms = change.norms ? tf.tensor(change.norms, squares.shape) : tf.sqrt(squares);
  // What is zero has no direction, and stays zero.
  return tf.mul(weights, tf.divNoNan(tf.reshape(tensorOf(change, tensor), norms.shape), norms));
}

/** Squared norms of the rows or columns of a laid-out weight, all its axes kept. The caller's. */
export function squaredNorms(weights: tf.Tensor, of: Magnitude['of'], layout: Layout): tf.Tensor {
  const { rank } = weights;
  // Layers have outputs last and inputs before them; parameters that are left as stored have outputs first.
  const [outputs, inputs] = layout === 'plain' ? [0, 1] : [rank - 1, rank - 2];
  const kept = of === 'rows' ? outputs : inputs;
  const others = [...weights.shape.keys()].filter(axis => axis !== kept);
  return tf.tidy(() => tf.sum(tf.square(weights), others, true));
}

function tensorOf({ tensors }: ReadChange, name: string): tf.Tensor2D {
  const { data, shape } = tensors.get(name)!;
  return tf.tensor2d(data, shape);
}
