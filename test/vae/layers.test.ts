import * as tf from '@tensorflow/tfjs-core';
import { causalConv } from '../../src/models/vae/causal';
import { network } from '../../src/models/vae/module';
import { inBands } from '../../src/nn/bands';
import { conv2d } from '../../src/nn/conv2d';
import { conv3dFrame } from '../../src/nn/conv3d';
import { applyAffine, groupNorm } from '../../src/nn/group-norm';
import { upsampleNearest } from '../../src/nn/upsample';
import { describeOnBackends } from '../support/backends';
import { maxDifference, noise, paramsOf } from './support';

/** A convolution over space by its definition, in double precision. */
function directConv2d(x: tf.Tensor, kernel: tf.Tensor, stride: number, [top, bottom, left, right]: number[]): number[] {
  const [, height, width, inputs] = x.shape as [number, number, number, number];
  const [kh, kw, , outputs] = kernel.shape as [number, number, number, number];
  const [xs, ks] = [x.dataSync(), kernel.dataSync()];
  const rows = Math.floor((height + top! + bottom! - kh) / stride) + 1;
  const columns = Math.floor((width + left! + right! - kw) / stride) + 1;
  const result: number[] = [];
  for (let y = 0; y < rows; y++) {
    for (let u = 0; u < columns; u++) {
      for (let o = 0; o < outputs; o++) {
        let sum = 0;
        for (let i = 0; i < kh; i++) {
          for (let j = 0; j < kw; j++) {
            const [row, column] = [y * stride + i - top!, u * stride + j - left!];
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            for (let c = 0; c < inputs; c++) {
              sum += xs[(row * width + column) * inputs + c]! * ks[((i * kw + j) * inputs + c) * outputs + o]!;
            }
          }
        }
        result.push(sum);
      }
    }
  }
  return result;
}

describeOnBackends('layers of autoencoders', () => {
  let before = 0;
  beforeEach(() => {
    before = tf.memory().numTensors;
    tf.engine().startScope();
  });
  afterEach(() => {
    tf.engine().endScope();
    expect(tf.memory().numTensors).toBe(before);
  });

  const near = (actual: tf.Tensor, expected: ArrayLike<number>): void => {
    const values = actual.dataSync<'float32'>();
    expect(values.length).toBe(expected.length);
    const worst = values.reduce((max, v, i) => Math.max(max, Math.abs(v - expected[i]!)), 0);
    expect(worst).toBeLessThan(1e-5);
  };

  test.each([
    { size: 3, stride: 1, pad: undefined, sides: [1, 1, 1, 1] },
    { size: 1, stride: 1, pad: undefined, sides: [0, 0, 0, 0] },
    { size: 3, stride: 2, pad: [0, 1, 0, 1] as const, sides: [0, 1, 0, 1] },
    { size: 3, stride: 1, pad: 0, sides: [0, 0, 0, 0] },
    { size: 3, stride: 2, pad: undefined, sides: [1, 1, 1, 1] },
  ])('conv2d with kernel $size, stride $stride, pad $pad', ({ size, stride, pad, sides }) => {
    const x = noise([1, 5, 6, 3]);
    const weight = noise([size, size, 3, 4], 2);
    near(conv2d(paramsOf({ weight }), x, { stride, pad }), directConv2d(x, weight, stride, sides));
  });

  test('conv2d adds the bias', () => {
    const x = noise([1, 2, 2, 3]);
    const [weight, bias] = [noise([1, 1, 3, 2], 2), tf.tensor1d([10, 20])];
    const without = conv2d(paramsOf({ weight }), x);
    expect(maxDifference(conv2d(paramsOf({ weight, bias }), x), tf.add(without, bias))).toBe(0);
  });

  test('a frame of a three-dimensional convolution; a missing frame is a frame of zeros', () => {
    const frames = [noise([1, 4, 5, 2], 1), noise([1, 4, 5, 2], 2), noise([1, 4, 5, 2], 3)];
    const weight = noise([3, 3, 3, 2, 3], 4);
    const taps = tf.unstack(weight);
    const sums = frames.map((x, i) => directConv2d(x, taps[i]!, 1, [1, 1, 1, 1]));
    near(
      conv3dFrame(paramsOf({ weight }), frames),
      sums[0]!.map((v, i) => v + sums[1]![i]! + sums[2]![i]!),
    );
    near(
      conv3dFrame(paramsOf({ weight }), [undefined, frames[1], frames[2]]),
      sums[1]!.map((v, i) => v + sums[2]![i]!),
    );
  });

  describe('causal convolutions', () => {
    const frames = (count: number): tf.Tensor[] => Array.from({ length: count }, (_, i) => noise([1, 3, 3, 2], i));
    const layer = () => paramsOf({ weight: noise([3, 3, 3, 2, 2], 9) });

    test.each(['zeros', 'first'] as const)('a video in pieces gives what it gives in one (%s)', fill => {
      const video = frames(7);
      const whole = network(layer());
      const pieces = network(layer());
      const expected = causalConv(whole, video, { fill });
      const actual = [0, 1, 4, 6].flatMap((start, i, starts) =>
        causalConv(pieces, video.slice(start, starts[i + 1]), { fill }),
      );
      expect(actual).toHaveLength(7);
      actual.forEach((frame, i) => {
        expect(maxDifference(frame, expected[i]!)).toBe(0);
      });
      whole.forget();
      pieces.forget();
    });

    test('what comes later changes nothing', () => {
      const [short, long] = [network(layer()), network(layer())];
      const video = frames(5);
      const [a, b] = [causalConv(short, video.slice(0, 3)), causalConv(long, video)];
      a.forEach((frame, i) => {
        expect(maxDifference(frame, b[i]!)).toBe(0);
      });
      short.forget();
      long.forget();
    });

    test('stride 2 with one frame of zeros gives half the frames', () => {
      const m = network(layer());
      const video = frames(4);
      const made = causalConv(m, video, { stride: 2, lead: 1 });
      expect(made).toHaveLength(2);
      expect(maxDifference(made[0]!, conv3dFrame(layer(), [undefined, video[0], video[1]]))).toBe(0);
      expect(maxDifference(made[1]!, conv3dFrame(layer(), [video[1], video[2], video[3]]))).toBe(0);
      m.forget();
    });

    test('frames are prepared one at a time, in order', () => {
      const m = network(layer());
      const seen: number[] = [];
      const prepare = (x: tf.Tensor, index: number): tf.Tensor => {
        seen.push(index);
        return tf.neg(x);
      };
      causalConv(m, frames(3), { prepare });
      expect(seen).toEqual([0, 1, 2]);
      m.forget();
    });
  });

  test.each([0, 300])('GroupNorm over the frames of a clip, values about %d', about => {
    const video = [1, 2, 3].map(seed => tf.add(noise([1, 4, 5, 6], seed), about));
    const [weight, bias] = [noise([6], 4), noise([6], 5)];
    const affine = groupNorm(paramsOf({ weight, bias }), video, 3, 1e-6);
    const values = video.map(x => x.dataSync());
    for (const [f, x] of video.entries()) {
      const expected = Array.from(values[f]!, (v, i) => {
        const group = Math.floor((i % 6) / 2);
        const all = values.flatMap(frame => Array.from(frame).filter((_, j) => Math.floor((j % 6) / 2) === group));
        const mean = all.reduce((a, b) => a + b) / all.length;
        const variance = all.reduce((a, b) => a + (b - mean) ** 2, 0) / all.length;
        return ((v - mean) / Math.sqrt(variance + 1e-6)) * weight.dataSync()[i % 6]! + bias.dataSync()[i % 6]!;
      });
      const actual = applyAffine(x, affine).dataSync<'float32'>();
      const worst = actual.reduce((max, v, i) => Math.max(max, Math.abs(v - expected[i]!)), 0);
      // About 300 a float32 itself is only good to 3e-5.
      expect(worst).toBeLessThan(about === 0 ? 1e-5 : 5e-4);
    }
  });

  test('nearest up-sampling repeats pixels', () => {
    const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
    expect(Array.from(upsampleNearest(x, 2).dataSync())).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
    expect(upsampleNearest(x, 1)).toBe(x);
  });

  test('work in bands is the same work', () => {
    const x = tf.randomUniform([1, 9, 1024, 1024]);
    const map = tf.randomUniform([1, 9, 1024, 1024]);
    const row = noise([1024], 3);
    let bands = 0;
    const actual = inBands(x, (band, cut) => {
      bands++;
      return tf.add(tf.mul(band, cut(map)), cut(row));
    });
    expect(bands).toBeGreaterThan(1);
    expect(maxDifference(actual, tf.add(tf.mul(x, map), row))).toBe(0);
  });
});
