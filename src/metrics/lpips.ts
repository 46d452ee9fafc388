import * as tf from '@tensorflow/tfjs-core';
import { ShapeError } from '../errors';
import { dense, type Image, imageSize } from '../media/pixels';
import {
  ALEXNET_CHANNELS,
  ALEXNET_LEAST_SIZE,
  type AlexNet,
  createAlexNet,
  type NamedWeights,
  namedTensor,
} from './alexnet';
import { assertSameShape } from './shapes';

/** LPIPS of two images; 0 for equal ones. */
export interface LpipsScores {
  /** The standard value: each layer's mean over its own positions, summed over layers. */
  value: number;
  /** What each of the five layers adds to `value`. */
  perLayer: number[];
  /** The value of TeaCache's evaluation (`spatial=True`): the mean of `map`. */
  spatial: number;
  /** Distance at each pixel, `[H, W]`, row-major: every layer enlarged to the image and summed. */
  map: Float32Array;
}

/** LPIPS with its weights on the backend that was current when it was made. */
export interface Lpips {
  compare(a: Image, b: Image): Promise<LpipsScores>;
  dispose(): void;
}

/** Centre and spread of ImageNet's colours for pixels in [-1, 1]. */
const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];

/**
 * Learned perceptual distance (Zhang et al., 2018) on AlexNet's activations, on the current tfjs backend.
 *
 * Source: torchmetrics 1.9 `functional/image/lpips.py` (which guards the norm as `sqrt(1e-8 + Σx²)`).
 * @param weights torchvision's `features.N.weight|bias` and LPIPS's `linK.model.1.weight`; other names are ignored
 * @example
 * const lpips = createLpips(weights);
 * const { value } = await lpips.compare(cached, uncached);
 */
export function createLpips(weights: NamedWeights): Lpips {
  const net = createAlexNet(weights);
  const mixes = loadMixes(weights, net);

  async function compare(a: Image, b: Image): Promise<LpipsScores> {
    assertSameShape(a, b);
    const { height, width } = imageSize(a);
    if (Math.min(height, width) < ALEXNET_LEAST_SIZE) {
      throw new ShapeError(`LPIPS needs pictures of at least 31×31 pixels; these are ${width}×${height}.`);
    }
    const [perLayer, map] = tf.tidy(() => {
      const left = net.features(normalised(a));
      const right = net.features(normalised(b));
      const distances = left.map((x, k) => layerDistance(x, right[k]!, mixes[k]!));
      const means = tf.stack(distances.map(distance => tf.mean(distance)));
      const enlarged = distances.map(distance => tf.image.resizeBilinear(distance, [height, width], false, true));
      return [means, tf.addN(enlarged)];
    });
    try {
      const layers = Array.from(await perLayer!.data());
      const values = Float32Array.from(await map!.data());
      const sum = values.reduce((total, value) => total + value, 0);
      return { value: layers.reduce((x, y) => x + y, 0), perLayer: layers, spatial: sum / values.length, map: values };
    } finally {
      tf.dispose([perLayer!, map!]);
    }
  }

  return {
    compare,
    dispose: () => {
      net.dispose();
      tf.dispose(mixes);
    },
  };
}

/** The learned weight of each channel of each layer. */
function loadMixes(weights: NamedWeights, net: AlexNet): tf.Tensor[] {
  try {
    return tf.tidy(() =>
      ALEXNET_CHANNELS.map((channels, k) => {
        return tf.reshape(namedTensor(weights, `lin${k}.model.1.weight`, [1, channels, 1, 1]), [channels]);
      }),
    );
  } catch (error) {
    net.dispose();
    throw error;
  }
}

/** An image as the network wants it, `[1, H, W, 3]`. */
export function normalised(image: Image): tf.Tensor4D {
  const { height, width } = imageSize(image);
  return tf.tidy(() => {
    const pixels = tf.tensor4d(dense(image), [1, height, width, 3]);
    return tf.div(tf.sub(tf.sub(tf.mul(pixels, 2), 1), SHIFT), SCALE);
  });
}

/** Weighted squared difference of two activations, each scaled to unit length over its channels: `[1, h, w, 1]`. */
function layerDistance(x: tf.Tensor4D, y: tf.Tensor4D, mix: tf.Tensor): tf.Tensor4D {
  const unit = (t: tf.Tensor4D) => tf.div(t, tf.sqrt(tf.add(tf.sum(tf.square(t), 3, true), 1e-8)));
  return tf.sum(tf.mul(tf.squaredDifference(unit(x), unit(y)), mix), 3, true);
}
