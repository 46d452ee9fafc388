import * as tf from '@tensorflow/tfjs-core';
import type { History } from './predictor';

/**
 * Coefficients of the paper's rectification at one step: `ε̂ = (K ṽ + B)/4 + ½` is what a rebuilt output is too
 * large by. One value, or one for every output channel.
 */
export interface Affine {
  /** Slope, one value or one a channel. */
  readonly K: readonly number[];
  /** Offset, one value or one a channel. */
  readonly B: readonly number[];
}

/**
 * Weights of a least-squares combination at one step, by term: `sample` (the latent), `one`, and the parts of guided
 * outputs by age, `conditional.0` being this step's own, rebuilt or computed, `conditional.1` that of the last step
 * computed before it, ….
 */
export type Combination = Readonly<Record<string, number>>;

/** The parts of a guided output, by name. */
export type Parts = Readonly<Record<string, tf.Tensor>>;

/**
 * What to do to a step's output; per step, `null` where nothing is corrected. The paper's forms correct rebuilt outputs
 * only. Least squares corrects computed ones too: an output that is exact where the run is still leads on from where it
 * has drifted to, and a combination can lead back.
 */
export type Rectification =
  | { readonly form: 'off' }
  | {
      readonly form: 'linear' | 'sigmoid';
      /** Axis of the latent that per-channel coefficients run along. */
      readonly channelAxis: number;
      readonly steps: readonly (Affine | null)[];
    }
  | { readonly form: 'lsq'; readonly steps: readonly (Combination | null)[] };

/** How rebuilt outputs are corrected: not at all, by the paper's K and B (two forms), or by least squares. */
export type RectifyForm = Rectification['form'];

/** A per-channel row laid along `axis` of a tensor of rank `rank`, so that it broadcasts. */
function alongAxis(values: readonly number[], rank: number, axis: number): tf.Tensor {
  if (values.length === 1) return tf.scalar(values[0] as number);
  return tf.tensor(
    [...values],
    Array.from({ length: rank }, (_, i) => (i === axis ? values.length : 1)),
  );
}

/** `ṽ - ε̂` with the linear form, or with the sigmoid evaluated as written (for the ablation). */
export function applyAffine(
  rebuilt: tf.Tensor,
  { K, B }: Affine,
  form: 'linear' | 'sigmoid',
  channelAxis: number,
): tf.Tensor {
  return tf.tidy(() => {
    const row = (values: readonly number[]): tf.Tensor => alongAxis(values, rebuilt.rank, channelAxis);
    if (form === 'sigmoid') return tf.sub(rebuilt, tf.sigmoid(tf.add(tf.mul(rebuilt, row(K)), row(B))));
    const slope = row(K.map(k => 1 - k / 4));
    const offset = row(B.map(b => b / 4 + 0.5));
    return tf.sub(tf.mul(rebuilt, slope), offset);
  });
}

/** The tensors that a combination may draw on at this step, by term; borrowed. */
export function lsqTerms(own: Parts, sample: tf.Tensor, history: History<Parts>): Readonly<Record<string, tf.Tensor>> {
  const aged = [own, ...history.map(h => h.value)].flatMap((parts, age) =>
    Object.entries(parts).map(([name, part]) => [`${name}.${age}`, part] as const),
  );
  return Object.fromEntries([...aged, ['sample', sample]]);
}

/** `Σ weight · term`. */
export function combine(weights: Combination, terms: Readonly<Record<string, tf.Tensor>>): tf.Tensor {
  return tf.tidy(() => {
    const products = Object.entries(weights).flatMap(([name, weight]) => {
      const term = Object.hasOwn(terms, name) ? terms[name] : undefined;
      // Zero is left out; NaN is not, so that a broken weight shows.
      return weight !== 0 && term ? [tf.mul(term, weight)] : [];
    });
    // One by one: a single sum of as many tensors binds more buffers than WebGPU allows.
    const sum = products.length > 0 ? products.reduce((a, b) => tf.add(a, b)) : tf.zerosLike(terms.sample as tf.Tensor);
    const { one = 0 } = weights;
    return one === 0 ? sum : tf.add(sum, one);
  });
}
