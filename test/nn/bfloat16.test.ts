import * as tf from '@tensorflow/tfjs-core';
import { syntheticDenoiser } from '../../src/lab/timing/bench-model';
import { syntheticCondition, syntheticLatents } from '../../src/lab/timing/synthetic-job';
import { relativeRms } from '../../src/lab/verify/verify';
import { workload } from '../../src/models/workload-of';
import { attention } from '../../src/nn/attention';
import { type ComputeType, isBfloat16, requireComputeType, toBfloat16 } from '../../src/nn/bfloat16';
import { feedForward } from '../../src/nn/feed-forward';
import { linear } from '../../src/nn/linear';
import { release } from '../../src/nn/scope';
import { loadModel } from '../../src/pipelines/load';
import { forward } from '../../src/transformer/run';
import { view } from '../../src/weights/store';
import { describeOnBackends } from '../support/backends';

/** Half a unit in the last of bfloat16's 8 bits: the most that rounding moves a value, by its size. */
const ROUNDING = 2 ** -9;

const config = {
  _class_name: 'WanTransformer3DModel',
  num_layers: 2,
  num_attention_heads: 2,
  attention_head_dim: 12,
  ffn_dim: 64,
  text_dim: 16,
};

async function wan(dtype: ComputeType) {
  const { denoiser, bytes, ...model } = syntheticDenoiser({ className: config._class_name, config }, { dtype });
  const work = workload(model.className, model.config, { height: 64, width: 64, frames: 5, textTokens: 6 });
  const inputs = { ...model, work };
  const [condition, latent] = [syntheticCondition(inputs, [1]), syntheticLatents(inputs, [1])];
  const context = denoiser.prepare(condition, latent.shape);
  const output = await forward(denoiser, latent, 500, context);
  const values = await output.data<'float32'>();
  release([condition, context, latent, output]);
  denoiser.weights.dispose();
  return { values, bytes };
}

describeOnBackends('bfloat16', () => {
  test('a layer rounds what it multiplies, and nothing else', () => {
    const before = tf.memory();
    tf.tidy(() => {
      const [x, weight] = [
        tf.randomNormal([2, 50, 192], 0, 1, 'float32', 3),
        tf.randomNormal([192, 96], 0, 1, 'float32', 4),
      ];
      const bias = tf.linspace(-1, 1, 96);
      const narrow = toBfloat16(weight);
      expect([isBfloat16(narrow), isBfloat16(weight)]).toEqual([true, false]);
      const exact = linear(
        view(
          new Map([
            ['weight', weight],
            ['bias', bias],
          ]),
          '',
        ),
        x,
      );
      const rounded = linear(
        view(
          new Map([
            ['weight', narrow],
            ['bias', bias],
          ]),
          '',
        ),
        x,
      );
      expect(rounded.shape).toEqual([2, 50, 96]);
      const error = relativeRms(rounded.dataSync(), exact.dataSync());
      // Three roundings, of each factor and of the result; none at all would be an error of 1e-7.
      expect(error).toBeLessThan(3 * ROUNDING);
      expect(error).toBeGreaterThan(ROUNDING / 10);
    });
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
  });

  test('a feed-forward rounds what it multiplies, its middle once', () => {
    const before = tf.memory();
    tf.tidy(() => {
      const x = tf.randomNormal([2, 50, 192], 0, 1, 'float32', 3);
      const part = (type: ComputeType, ...shape: [number, number]) => {
        const weight = tf.randomNormal(shape, 0, 0.1, 'float32', shape[0]);
        return view(
          new Map([
            ['weight', type === 'bfloat16' ? toBfloat16(weight) : weight],
            ['bias', tf.linspace(-1, 1, shape[1])],
          ]),
          '',
        );
      };
      const run = (type: ComputeType) => feedForward(part(type, 192, 300), part(type, 300, 192), x);
      const rounded = run('bfloat16');
      expect(isBfloat16(rounded)).toBe(false);
      expect(rounded.shape).toEqual([2, 50, 192]);
      const error = relativeRms(rounded.dataSync(), run('float32').dataSync());
      // Five roundings: of the input, both weights, the middle and the result.
      expect(error).toBeLessThan(5 * ROUNDING);
      expect(error).toBeGreaterThan(ROUNDING / 10);
    });
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
  });

  test('attention rounds scores, probabilities and products, in one tile and in several', () => {
    const before = tf.memory();
    tf.tidy(() => {
      const [q, k, v] = [5, 6, 7].map(seed => tf.randomNormal([2, 300, 3, 16], 0, 1, 'float32', seed)) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const exact = attention(q, k, v).dataSync();
      for (const maxScores of [undefined, 64 * 2 * 3 * 300]) {
        const rounded = attention(q, k, v, { dtype: 'bfloat16', maxScores });
        expect(rounded.shape).toEqual([2, 300, 48]);
        const error = relativeRms(rounded.dataSync(), exact);
        expect(error).toBeLessThan(4 * ROUNDING);
        expect(error).toBeGreaterThan(ROUNDING / 10);
      }
    });
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
  });

  test('a model comes close to itself in float32, in less memory, and leaves nothing behind', async () => {
    const before = tf.memory().numTensors;
    const [exact, rounded] = [await wan('float32'), await wan('bfloat16')];
    const error = relativeRms(rounded.values, exact.values);
    expect(error).toBeLessThan(10 * ROUNDING);
    expect(error).toBeGreaterThan(0);
    expect(rounded.bytes).toBeLessThan(exact.bytes);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('its values cannot be read or used as float32', () => {
    const [x, narrow] = tf.tidy(() => {
      const one = tf.ones([2, 2]);
      return [one, toBfloat16(one)];
    }) as [tf.Tensor2D, tf.Tensor2D];
    expect(() => narrow.dataSync()).toThrow();
    expect(() => tf.matMul(x, narrow)).toThrow();
    tf.dispose([x, narrow]);
  });
}, ['native']);

describeOnBackends('bfloat16', () => {
  test('is refused before anything is loaded', async () => {
    const before = tf.memory().numTensors;
    expect(() => requireComputeType('bfloat16')).toThrow('bfloat16 needs the native backend');
    await expect(loadModel('fluent-emoji', { dtype: 'bfloat16' })).rejects.toThrow('bfloat16 needs the native');
    expect(tf.memory().numTensors).toBe(before);
  });
}, ['wasm', 'cpu']);
