/**
 * What Chroma has in place of FLUX's modulation layers, over a quarter of its weights: one small network, asked for
 * every shift, scale and gate of the model by its number. Shapes: B batch, M modulations, D = heads × head width.
 */
import * as tf from '@tensorflow/tfjs-core';
import { siluMlp, sinusoidal } from '../../../nn/embeddings';
import { linear } from '../../../nn/linear';
import { rmsNorm } from '../../../nn/norm';
import type { Params } from '../../../nn/params';
import { range } from '../../../nn/positions';
import { linear as linearParameters, type ParameterTable, repeated, scoped, vector } from '../../../weights/parameters';
import { type Modulations, type Six, type Three, widthOf } from '../blocks';
import type { ChromaConfig } from './config';

/** PyTorch's where a norm names none: the distance of 1 to the next float32. */
const EPS = 2 ** -23;

/** Parameters of the approximator, as diffusers names them. */
export function approximatorParameters(c: ChromaConfig): ParameterTable {
  const { approximator_num_channels: inputs, approximator_hidden_dim: width, approximator_layers: layers } = c;
  return scoped('distilled_guidance_layer', [
    ...linearParameters('in_proj', inputs, width),
    ...repeated('layers', layers, () => [
      ...linearParameters('linear_1', width, width),
      ...linearParameters('linear_2', width, width),
    ]),
    ...range(layers).map(i => vector(`norms.${i}.weight`, width)),
    ...linearParameters('out_proj', width, widthOf(c)),
  ]);
}

/** Where the modulations of a kind begin: single blocks, images of double blocks, their texts, the last norm. */
function layoutOf({ num_layers: doubles, num_single_layers: singles }: ChromaConfig) {
  const image = 3 * singles;
  const text = image + 6 * doubles;
  const last = text + 6 * doubles;
  return { image, text, last, count: last + 2 };
}

export const modulationCount = (c: ChromaConfig): number => layoutOf(c).count;

/**
 * The network's inputs for every modulation: the time, a guidance of 0, and the modulation's number.
 * @param time `[B]`, 0 … 1000
 * @returns `[B, M, C]`
 */
export function modulationInputs(c: ChromaConfig, time: tf.Tensor): tf.Tensor {
  const count = modulationCount(c);
  const part = c.approximator_num_channels / 4;
  const unguided = tf.mul(time, 0);
  const told = tf.concat([sinusoidal(time, part), sinusoidal(unguided, part)], -1);
  const numbers = numberTable(count, 2 * part);
  // Repeated by sums with zeros: in a graph the batch may be of any size.
  const forEach = tf.add(tf.expandDims(told, 1), tf.zeros([1, count, 1]));
  return tf.concat([forEach, tf.add(tf.expandDims(numbers, 0), tf.reshape(unguided, [-1, 1, 1]))], -1);
}

/**
 * Numbers of modulations, times 1000, as cosines and sines. These angles are so large that a rounding shows in the
 * second digit of their cosine, so the reference's roundings are made too.
 */
function numberTable(count: number, width: number): tf.Tensor {
  const half = width / 2;
  const { fround } = Math;
  const slope = fround(-Math.log(10_000));
  const frequencies = range(half).map(i => fround(Math.exp(fround(fround(slope * i) / half))));
  return tf.tensor2d(
    range(count).map(number => {
      const angles = frequencies.map(frequency => fround(1000 * number * frequency));
      return [...angles.map(Math.cos), ...angles.map(Math.sin)];
    }),
  );
}

/** The network: `[B, M, C]` to `[B, M, D]`. */
export function approximate(p: Params, inputs: tf.Tensor, layers: number): tf.Tensor {
  let x = linear(p.at('in_proj'), inputs);
  for (const i of range(layers)) x = tf.add(x, siluMlp(p.at(`layers.${i}`), rmsNorm(p.at(`norms.${i}`), x, EPS)));
  return linear(p.at('out_proj'), x);
}

/** `count` modulations from the `start`-th on, `[B, 1, D]` each. */
const slices = (modulations: tf.Tensor, start: number, count: number): tf.Tensor[] =>
  tf.split(tf.slice(modulations, [0, start, 0], [-1, count, -1]), count, 1);

/** Every block takes its own of the modulations. */
export function takenFrom(c: ChromaConfig): Modulations<{ readonly modulations: tf.Tensor }> {
  const { image, text } = layoutOf(c);
  return {
    double: (i, _, { modulations }) => ({
      image: slices(modulations, image + 6 * i, 6) as Six,
      text: slices(modulations, text + 6 * i, 6) as Six,
    }),
    single: (i, _, { modulations }) => slices(modulations, 3 * i, 3) as Three,
  };
}

/** Those of the last norm. */
export function lastOf(c: ChromaConfig, modulations: tf.Tensor): [shift: tf.Tensor, scale: tf.Tensor] {
  return slices(modulations, layoutOf(c).last, 2) as [tf.Tensor, tf.Tensor];
}
