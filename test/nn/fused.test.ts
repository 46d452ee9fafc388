import * as tf from '@tensorflow/tfjs-core';
import { findLink } from '../../src/engine/link/record';
import { syntheticDenoiser } from '../../src/lab/timing/bench-model';
import { syntheticCondition, syntheticLatents } from '../../src/lab/timing/synthetic-job';
import { workload } from '../../src/models/workload-of';
import { geluTanh, silu } from '../../src/nn/activation';
import { attention } from '../../src/nn/attention';
import { feedForward } from '../../src/nn/feed-forward';
import { allowFused, fusedNames, hasFused } from '../../src/nn/fused';
import { forceLane, lane } from '../../src/nn/lane';
import { linear } from '../../src/nn/linear';
import { layerNorm, modulatedLayerNorm } from '../../src/nn/norm';
import type { Params } from '../../src/nn/params';
import { applyRope, ropeTables } from '../../src/nn/rope';
import { release } from '../../src/nn/scope';
import { forward } from '../../src/transformer/run';
import { view } from '../../src/weights/store';
import { describeOnBackends } from '../support/backends';

/** Largest difference between what the layers make with and without the fused operations, by the largest value. */
async function apart(work: () => tf.Tensor): Promise<number> {
  const [fused, portable] = [tf.tidy(work), portably(() => tf.tidy(work))];
  const far = tf.tidy(() => tf.div(tf.max(tf.abs(tf.sub(fused, portable))), tf.max(tf.abs(portable))).dataSync()[0]);
  tf.dispose([fused, portable]);
  return far as number;
}

function portably<T>(work: () => T): T {
  const restore = forceLane('portable');
  try {
    return work();
  } finally {
    restore();
  }
}

/** Weights and bias of a linear layer. */
const layer = (inputs: number, outputs: number): Params =>
  view(
    new Map([
      ['weight', random(inputs, outputs)],
      ['bias', random(outputs)],
    ]),
    '',
  );
const random = (...shape: number[]): tf.Tensor => tf.randomNormal(shape, 0, 1, 'float32', 7);

describeOnBackends('fused operations', () => {
  const layers: Record<string, () => tf.Tensor> = {
    layerNorm: () => layerNorm(random(2, 50, 192), 1e-6),
    'modulated layerNorm': () => modulatedLayerNorm(random(1, 50, 192), random(1, 1, 192), random(1, 1, 192), 1e-6),
    'modulated layerNorm of two rows': () =>
      modulatedLayerNorm(random(2, 50, 192), random(2, 1, 192), random(2, 1, 192), 1e-6),
    'affine, modulated layerNorm': () => {
      const weights = new Map([
        ['weight', random(192)],
        ['bias', random(192)],
      ]);
      return modulatedLayerNorm(random(1, 50, 192), random(1, 1, 192), random(1, 1, 192), 1e-6, view(weights, ''));
    },
    silu: () => silu(tf.mul(random(50, 192), 10)),
    gelu: () => geluTanh(tf.mul(random(50, 192), 10)),
    rope: () =>
      applyRope(
        random(2, 50, 3, 32),
        ropeTables(
          Array.from({ length: 50 }, (_, i) => [i]),
          [32],
        ),
      ),
    attention: () => attention(random(2, 50, 3, 32), random(2, 70, 3, 32), random(2, 70, 3, 32), { maxScores: 16000 }),
    linear: () => linear(view(new Map([['weight', random(192, 96)]]), ''), random(2, 50, 192)),
    'linear with bias': () => linear(layer(192, 96), random(2, 50, 192)),
    'linear with bias and GELU': () => linear(layer(192, 96), random(2, 50, 192), { activation: 'geluTanh' }),
    'linear with bias, SiLU and a factor': () =>
      linear(layer(192, 96), random(50, 192), { activation: 'silu', times: random(50, 96) }),
    'feed-forward': () => feedForward(layer(192, 300), layer(300, 192), random(2, 50, 192)),
  };
  test('are found usable here, and are off in the portable lane', () => {
    expect(fusedNames.filter(hasFused).length).toBeGreaterThan(0);
    portably(() => expect([lane(), ...fusedNames.filter(hasFused)]).toEqual(['portable']));
    expect(lane()).toBe('native');
  });

  // oneDNN's operations are in TensorFlow's builds for these; other bindings cannot name what follows a product.
  const isOneDnn = findLink() !== undefined && process.platform === 'linux' && process.arch === 'x64';
  (isOneDnn ? test : test.skip)('a linked binding adds the bias in the pass of the product', () => {
    expect(hasFused('linear')).toBe(true);
  });

  test.each(Object.keys(layers))('%s agrees with its portable form', async name => {
    const before = tf.memory().numTensors;
    expect(await apart(layers[name]!)).toBeLessThan(1e-5);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('large values of GELU and SiLU stay finite', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([-1e4, -100, -20, 0, 20, 100, 1e4]);
      for (const f of [geluTanh, silu]) {
        const values = Array.from(f(x).dataSync());
        expect(values.every(Number.isFinite)).toBe(true);
        [-0, -0, -0, 0, 20, 100, 1e4].forEach((expected, i) => void expect(values[i]).toBeCloseTo(expected, 5));
      }
    });
  });

  test('a whole model agrees', async () => {
    const config = {
      _class_name: 'WanTransformer3DModel',
      num_layers: 2,
      num_attention_heads: 2,
      attention_head_dim: 12,
      ffn_dim: 64,
      text_dim: 16,
    };
    const { denoiser, ...model } = syntheticDenoiser({ className: config._class_name, config });
    const work = workload(model.className, model.config, { height: 64, width: 64, frames: 5, textTokens: 6 });
    const inputs = { ...model, work };
    const [condition, latent] = [syntheticCondition(inputs, [1]), syntheticLatents(inputs, [1])];
    const context = denoiser.prepare(condition, latent.shape);
    const fused = await forward(denoiser, latent, 500, context);
    const restore = forceLane('portable');
    const portable = await forward(denoiser, latent, 500, context);
    restore();
    const far = tf.tidy(() => tf.div(tf.max(tf.abs(tf.sub(fused, portable))), tf.max(tf.abs(portable))).dataSync()[0]);
    expect(far).toBeLessThan(1e-5);
    release([condition, context, latent, fused, portable]);
    denoiser.weights.dispose();
  });

  test('are used by name only', () => {
    const names = fusedNames.filter(hasFused);
    allowFused(tf.backend(), ['swish']);
    expect(fusedNames.filter(hasFused)).toEqual(['swish']);
    allowFused(tf.backend(), []);
    expect(fusedNames.filter(hasFused)).toEqual([]);
    allowFused(tf.backend(), names);
  });
}, ['native']);
