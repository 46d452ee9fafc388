import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs-core';
import { geluTanh, silu } from '../../../src/nn/activation';
import { attention } from '../../../src/nn/attention';
import { forceLane } from '../../../src/nn/lane';
import { type After, linear } from '../../../src/nn/linear';
import { affineLayerNorm, gated, layerNorm, modulatedLayerNorm, rmsNorm } from '../../../src/nn/norm';
import { applyRope, normedRope, ropeTables } from '../../../src/nn/rope';
import { hasKernels, kernelLevel, loadKernels, useKernels } from '../../../src/nn/wasm/run';
import { view } from '../../../src/weights/store';
import { describeOnBackends } from '../../support/backends';

const params = (given: Record<string, tf.Tensor>) => view(new Map(Object.entries(given)), '');
let seed = 0;
/** Numbers that are the same wherever this runs, without a function whose last digit is a machine's own. */
function noise(...shape: number[]): tf.Tensor {
  seed = (seed * 7 + 12_345) % 65_536;
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  let state = seed + 1;
  for (let i = 0; i < values.length; i++) {
    state = (state * 48_271) % 2_147_483_647;
    values[i] = state / 1_073_741_824 - 1;
  }
  return tf.tensor(values, shape);
}

/** Largest difference from what tfjs's own kernels make, by the largest value. */
function apart(work: () => tf.Tensor): number {
  return tf.tidy(() => {
    seed = 0;
    expect(hasKernels()).toBe(true);
    const own = work();
    seed = 0;
    const restore = forceLane('portable');
    try {
      const expected = work();
      expect(own.shape).toEqual(expected.shape);
      const difference = tf.div(tf.max(tf.abs(tf.sub(own, expected))), tf.max(tf.abs(expected)));
      return difference.dataSync()[0] as number;
    } finally {
      restore();
    }
  });
}

const product = (m: number, k: number, n: number, after?: (m: number, n: number) => After): tf.Tensor =>
  linear(params({ weight: noise(k, n), bias: noise(n) }), noise(m, k), after?.(m, n));
const turned = (x: tf.Tensor, pairs: 'neighbours' | 'halves'): tf.Tensor => {
  const positions = Array.from({ length: x.shape[1] as number }, (_, i) => [i]);
  return applyRope(x, ropeTables(positions, [x.shape[3] as number], 100, pairs), pairs);
};

/** Sizes around those of tiles and blocks, and layers with all that they may have. */
const layers: Record<string, () => tf.Tensor> = {
  ...Object.fromEntries(
    [
      ...[1, 2, 3, 5, 6, 7, 23, 24, 25, 31].map(m => [m, 33, 40] as const),
      ...[1, 3, 4, 7, 8, 9, 15, 16, 17, 35].flatMap(n => [[2, 9, n] as const, [30, 9, n] as const]),
      ...[1, 767, 768, 769, 2000].flatMap(k => [[2, k, 19] as const, [40, k, 19] as const]),
    ].map(([m, k, n]) => [`product ${m} × ${k} × ${n}`, () => product(m, k, n)]),
  ),
  'product without a bias': () => linear(params({ weight: noise(9, 11) }), noise(2, 3, 9)),
  'product and SiLU': () => product(26, 40, 37, () => ({ activation: 'silu' })),
  'product and GELU': () => product(26, 40, 37, () => ({ activation: 'geluTanh' })),
  'product of one row, and GELU': () => product(1, 40, 37, () => ({ activation: 'geluTanh' })),
  'product, SiLU and a factor': () => product(26, 40, 37, (m, n) => ({ activation: 'silu', times: noise(m, n) })),
  'product of few rows and a factor': () => product(2, 40, 37, (m, n) => ({ times: noise(m, n) })),
  attention: () => attention(noise(2, 19, 3, 8), noise(2, 21, 3, 8), noise(2, 21, 3, 12)),
  'attention of odd sizes': () => attention(noise(2, 5, 3, 7), noise(2, 3, 3, 7), noise(2, 3, 3, 5)),
  'attention with a bias': () =>
    attention(noise(2, 9, 2, 8), noise(2, 10, 2, 8), noise(2, 10, 2, 8), { bias: noise(2, 2, 9, 10), scale: 0.7 }),
  'attention with a bias for all heads and queries': () =>
    attention(noise(2, 9, 2, 8), noise(2, 10, 2, 8), noise(2, 10, 2, 8), { bias: noise(2, 1, 1, 10) }),
  'attention with a bias for all images': () =>
    attention(noise(2, 9, 2, 8), noise(2, 10, 2, 8), noise(2, 10, 2, 8), { bias: noise(1, 2, 9, 10) }),
  'attention that masks keys': () =>
    attention(noise(1, 9, 2, 8), noise(1, 3, 2, 8), noise(1, 3, 2, 8), {
      bias: tf.tensor([0, -Infinity, 0], [1, 1, 1, 3]),
    }),
  'layer norm': () => layerNorm(noise(2, 5, 36), 1e-6),
  'layer norm with weights': () => affineLayerNorm(params({ weight: noise(36), bias: noise(36) }), noise(7, 36), 1e-5),
  'layer norm with a weight': () => affineLayerNorm(params({ weight: noise(36) }), noise(7, 36), 1e-5),
  'modulated layer norm': () => modulatedLayerNorm(noise(2, 5, 36), noise(2, 1, 36), noise(2, 1, 36), 1e-6),
  'modulated layer norm with weights': () =>
    modulatedLayerNorm(
      ...([noise(2, 5, 36), noise(2, 1, 36), noise(2, 1, 36)] as const),
      ...([1e-6, params({ weight: noise(36), bias: noise(36) })] as const),
    ),
  'modulated layer norm, one row for all images': () =>
    modulatedLayerNorm(noise(2, 5, 36), noise(1, 1, 36), noise(1, 1, 36), 1e-6),
  'layer norm of an odd width': () => layerNorm(noise(2, 5, 35), 1e-6),
  'RMS norm': () => rmsNorm(params({ weight: noise(36) }), noise(2, 5, 36), 1e-6),
  'rotation of neighbours': () => turned(noise(2, 5, 3, 12), 'neighbours'),
  'rotation of halves': () => turned(noise(2, 5, 3, 8), 'halves'),
  'rotation of odd halves': () => turned(noise(2, 5, 3, 6), 'halves'),
  'rotation after a norm': () =>
    normedRope(
      ...([params({ weight: noise(8) }), noise(2, 3, 2, 8)] as const),
      ...([ropeTables([[0], [1], [2]], [8], 100, 'halves'), 1e-6, 'halves', 0.3] as const),
    ),
  gate: () => gated(noise(2, 5, 12), noise(2, 1, 12), noise(2, 5, 12)),
  SiLU: () => silu(tf.mul(noise(3, 40), 30)),
  GELU: () => geluTanh(tf.mul(noise(3, 40), 30)),
};

/**
 * What a level gives on every machine that has it: SHA-256 of the results. A change of the kernels that changes digits
 * changes pictures; the CHANGELOG should say so.
 */
const DIGITS = {
  plain: 'b6768ba5971e31bf713b5ba47d5752d994e5b1b8d17ffdf82f33cd6d2f7364bf',
  fma: 'af63e7d50cb104976b9b3cde891786868c9d0bcebb47227296ba77a92d620abd',
} as const;

describe.each(['plain', 'fma'] as const)('kernels of the level %s', level => {
  describeOnBackends('compute what tfjs does', () => {
    let has = false;
    beforeAll(async () => {
      has = (await loadKernels(level)) === level;
    });
    afterAll(async () => {
      await loadKernels();
    });

    test.each(Object.entries(layers))('%s', (_, work) => {
      if (!has) return;
      const before = tf.memory().numTensors;
      expect(apart(work)).toBeLessThan(3e-6);
      expect(tf.memory().numTensors).toBe(before);
    });

    test('with the same digits on every machine', () => {
      if (!has) return;
      const digest = createHash('sha256');
      for (const name of ['product 31 × 33 × 40', 'product, SiLU and a factor', 'attention', 'layer norm', 'GELU']) {
        seed = 0;
        digest.update(new Uint8Array(tf.tidy(() => layers[name]!().dataSync().slice()).buffer));
      }
      expect(digest.digest('hex')).toBe(DIGITS[level]);
    });

    test('and NaN stays NaN', () => {
      if (!has) return;
      const values = tf.tidy(() => silu(tf.tensor([Number.NaN, 1, -1000, 1000])).dataSync());
      expect(Array.from(values)).toEqual([Number.NaN, expect.closeTo(0.731059, 5), expect.closeTo(0, 30), 1000]);
    });
  }, ['wasm']);
});

describeOnBackends('kernels', () => {
  test('can be taken away and given back', async () => {
    await useKernels(undefined);
    expect(kernelLevel()).toBeUndefined();
    const level = await loadKernels();
    expect(kernelLevel()).toBe(level);
    expect(await loadKernels('plain')).toBe('plain');
    await loadKernels();
  });
}, ['wasm']);
