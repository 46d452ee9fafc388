import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../errors';

/** Weights by their name in the checkpoint, in PyTorch's layouts. */
export type NamedWeights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** AlexNet's convolutions: torchvision's number, kernel shape `[out, in, kh, kw]`, stride, padding, pooling before. */
const CONVOLUTIONS = [
  { name: 'features.0', shape: [64, 3, 11, 11], stride: 4, padding: 2, pool: false },
  { name: 'features.3', shape: [192, 64, 5, 5], stride: 1, padding: 2, pool: true },
  { name: 'features.6', shape: [384, 192, 3, 3], stride: 1, padding: 1, pool: true },
  { name: 'features.8', shape: [256, 384, 3, 3], stride: 1, padding: 1, pool: false },
  { name: 'features.10', shape: [256, 256, 3, 3], stride: 1, padding: 1, pool: false },
] as const;

/** Channels after each convolution. */
export const ALEXNET_CHANNELS: readonly number[] = CONVOLUTIONS.map(({ shape }) => shape[0]);

/** The least height and width that leaves a pixel after the second pooling. */
export const ALEXNET_LEAST_SIZE = 31;

/** The convolutional part of AlexNet on the current backend. */
export interface AlexNet {
  /** `[B, H, W, 3]` to the five activations after each ReLU, `[B, h, w, channels]`. The caller owns them. */
  features(x: tf.Tensor4D): tf.Tensor4D[];
  dispose(): void;
}

/** AlexNet with torchvision's `features.N.weight` and `features.N.bias`. */
export function createAlexNet(weights: NamedWeights): AlexNet {
  const layers = tf.tidy(() =>
    CONVOLUTIONS.map(({ name, shape }) => {
      const kernel = namedTensor(weights, `${name}.weight`, shape) as tf.Tensor4D;
      return {
        kernel: tf.transpose(kernel, [2, 3, 1, 0]),
        bias: namedTensor(weights, `${name}.bias`, [shape[0]]) as tf.Tensor1D,
      };
    }),
  );

  const features = (x: tf.Tensor4D) =>
    tf.tidy(() => {
      let hidden = x;
      return CONVOLUTIONS.map(({ stride, padding, pool }, i) => {
        const { kernel, bias } = layers[i]!;
        if (pool) hidden = tf.maxPool(hidden, 3, 2, 'valid');
        // Padding by itself, since not every backend takes numbers for it in a convolution.
        const sides: [number, number] = [padding, padding];
        const padded = tf.pad4d(hidden, [[0, 0], sides, sides, [0, 0]]);
        hidden = tf.relu(tf.add<tf.Tensor4D>(tf.conv2d(padded, kernel, stride, 'valid'), bias));
        return hidden;
      });
    });

  return { features, dispose: () => tf.dispose(layers.flatMap(({ kernel, bias }) => [kernel, bias])) };
}

/** The weight called `name` as a tensor, once its shape has been checked. */
export function namedTensor(weights: NamedWeights, name: string, shape: readonly number[]): tf.Tensor {
  const weight = weights.get(name);
  const hint = "LPIPS needs AlexNet's `features.N.weight|bias` and the five `linK.model.1.weight` in one file.";
  if (weight === undefined) throw new CheckpointError('missing_key', `The LPIPS weights have no ${name}.`, { hint });
  if (weight.shape.join() !== shape.join()) {
    const message = `The LPIPS weight ${name} is [${weight.shape}] and should be [${shape}].`;
    throw new CheckpointError('shape_mismatch', message, { hint });
  }
  return tf.tensor(weight.data, [...shape], 'float32');
}
