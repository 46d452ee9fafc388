import * as tf from '@tensorflow/tfjs-core';
import { geluTanh } from '../../src/nn/activation';
import { feedForward } from '../../src/nn/feed-forward';
import { linear } from '../../src/nn/linear';
import type { Params } from '../../src/nn/params';
import {
  cropVideo,
  type Patch,
  padVideo,
  patchEmbed,
  patchify,
  unpatchify,
  type VideoShape,
} from '../../src/nn/patchify';
import { gridPositions, range, sincosTable } from '../../src/nn/positions';
import { roundHalfToEven } from '../../src/nn/rounding';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';

/** Parameters by their full names. */
function params(tensors: Record<string, tf.Tensor>, prefix = ''): Params {
  return {
    tensor: name => tensors[prefix + name]!,
    has: name => prefix + name in tensors,
    at: name => params(tensors, `${prefix}${name}.`),
  };
}

const shapes: [VideoShape, Patch][] = [
  [
    [2, 3, 4, 6, 4],
    [1, 2, 2],
  ],
  [
    [1, 2, 4, 3, 6],
    [2, 1, 3],
  ],
  [
    [2, 1, 1, 2, 2],
    [1, 2, 2],
  ],
  [
    [1, 5, 6, 4, 4],
    [3, 4, 1],
  ],
];

describeOnBackends('patches', () => {
  test.each(shapes)('of %j cut by %j: every channel where it belongs, and back', (shape, [pt, ph, pw]) => {
    const [batch, channels, frames, height, width] = shape;
    const size = shape.reduce((a, b) => a * b, 1);
    const video = tf.tensor(
      Float32Array.from({ length: size }, (_, i) => i),
      [...shape],
    );
    const expected: number[] = [];
    for (let b = 0; b < batch; b++) {
      for (const [t, y, x] of gridPositions(range(frames / pt), range(height / ph), range(width / pw))) {
        for (const [dt, dy, dx] of gridPositions(range(pt), range(ph), range(pw))) {
          for (let c = 0; c < channels; c++) {
            const frame = (b * channels + c) * frames + t * pt + dt;
            expected.push((frame * height + y * ph + dy) * width + x * pw + dx);
          }
        }
      }
    }
    const tokens = patchify(video, [pt, ph, pw]);
    expect([...tokens.dataSync()]).toEqual(expected);
    expect([...unpatchify(tokens, shape, [pt, ph, pw]).dataSync()]).toEqual([...video.dataSync()]);
  });

  test('embedding is a convolution whose stride is its kernel', () => {
    const video = tf.randomUniform([2, 3, 1, 4, 6], -1, 1, 'float32', 1);
    const weight = tf.randomUniform([2, 2, 3, 5], -1, 1, 'float32', 2) as tf.Tensor4D;
    const bias = tf.randomUniform([5], -1, 1, 'float32', 3);
    const images = tf.transpose(tf.reshape(video, [2, 3, 4, 6]), [0, 2, 3, 1]) as tf.Tensor4D;
    const expected = tf.add(tf.conv2d(images, weight, 2, 'valid'), bias);
    const actual = patchEmbed(params({ weight, bias }), video, [1, 2, 2]);
    expect(actual.shape).toEqual([2, 6, 5]);
    expect(maxAbsDifference(actual.dataSync(), expected.dataSync())).toBeLessThan(1e-6);
  });

  test('zeros are added at the ends and taken away again', () => {
    const video = tf.tensor(range(12), [1, 1, 1, 3, 4]);
    const padded = padVideo(video, [1, 1, 2, 4, 6]);
    expect(
      tf
        .slice(padded, [0, 0, 0, 3], [1, 1, 1, 1])
        .dataSync()
        .every(x => x === 0),
    ).toBe(true);
    expect([...tf.sum(padded).dataSync()]).toEqual([66]);
    expect([...cropVideo(padded, [1, 1, 1, 3, 4]).dataSync()]).toEqual(range(12));
  });
});

describeOnBackends('feed-forward', () => {
  test('taken in tiles it is the same, and nothing is left over', () => {
    const [width, hidden] = [2, 200_000];
    const store = {
      'a.weight': tf.randomUniform([width, hidden], -1, 1, 'float32', 1),
      'a.bias': tf.randomUniform([hidden], -1, 1, 'float32', 2),
      'b.weight': tf.randomUniform([hidden, width], -0.01, 0.01, 'float32', 3),
    };
    const p = params(store);
    const x = tf.randomUniform([2, 50, width], -1, 1, 'float32', 4);
    const before = tf.memory().numTensors;
    const tiled = tf.tidy(() => feedForward(p.at('a'), p.at('b'), x));
    const whole = tf.tidy(() => linear(p.at('b'), geluTanh(linear(p.at('a'), x))));
    expect(tiled.shape).toEqual([2, 50, width]);
    expect(maxAbsDifference(tiled.dataSync(), whole.dataSync())).toBeLessThan(1e-4);
    tf.dispose([tiled, whole]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, ...Object.values(store)]);
  });

  test('sine-cosine positions: each axis as sines, then cosines', () => {
    const table = sincosTable([[0, 3]], [2, 4]);
    const expected = [0, 1, Math.sin(3), Math.sin(0.03), Math.cos(3), Math.cos(0.03)];
    expect(maxAbsDifference(table.dataSync(), expected)).toBeLessThan(1e-7);
  });
});

test('halves round to the even neighbour', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6].map(roundHalfToEven).map(x => x + 0)).toEqual([0, 2, 2, 0, -2, 2, 3]);
});
