import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError, ConfigError, ShapeError } from '../../src/errors';
import { parseConfig } from '../../src/io/parse-config';
import { familyOf, modelClassNames } from '../../src/models/families';
import { type FluxCondition, fluxConfig, fluxParameters } from '../../src/models/flux/transformer';
import { release } from '../../src/nn/scope';
import { runBlocks } from '../../src/transformer/run';
import { perRow } from '../../src/transformer/timesteps';
import { parameterCount } from '../../src/weights/parameters';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';
import { run, smallModel, values } from './support';

const flux = {
  _class_name: 'FluxTransformer2DModel',
  in_channels: 12,
  num_layers: 2,
  num_single_layers: 1,
  attention_head_dim: 8,
  num_attention_heads: 2,
  joint_attention_dim: 10,
  pooled_projection_dim: 6,
  axes_dims_rope: [2, 2, 4],
};
const variant = (change: object): ReturnType<typeof smallModel> => smallModel({ ...flux, ...change });
const grid = (rows: number, columns: number): number[][] =>
  Array.from({ length: rows * columns }, (_, n) => [0, Math.floor(n / columns), n % columns]);

function condition(batch: number, rows = 2, columns = 3, seed = 1): FluxCondition {
  return {
    encoderHiddenStates: values([batch, 4, 10], seed),
    pooledProjections: values([batch, 6], seed + 1),
    imgIds: grid(rows, columns),
  };
}

/** Float32 sums in another order, on outputs below 1. */
const SAME_SUMS = 1e-5;

describeOnBackends('FLUX', () => {
  test.each([{}, { guidance_embeds: true }, { num_layers: 0 }, { num_single_layers: 0 }, { out_channels: 5 }])(
    'with %j: uses every parameter, returns the latent its size, and leaks nothing',
    async change => {
      const { model, weights, table, used } = variant(change);
      const [x, cond] = [values([2, 6, 12]), condition(2)];
      const before = tf.memory().numTensors;
      const out = await run(model, cond, x, 500);
      expect(tf.memory().numTensors).toBe(before);
      expect(out.shape).toEqual([2, 6, 'out_channels' in change ? 5 : 12]);
      expect(out.data.every(Number.isFinite)).toBe(true);
      expect([...used].sort()).toEqual(table.map(p => p.name).sort());
      weights.dispose();
      release([x, cond]);
    },
  );

  test('rows of a batch with texts, times and guidance of their own do not mix', async () => {
    const { model, weights } = variant({ guidance_embeds: true });
    const [x, cond] = [values([2, 6, 12]), condition(2)];
    const both = await run(model, { ...cond, guidance: [3.5, 1] }, x, [900, 100]);
    for (const row of [0, 1]) {
      const own = {
        ...cond,
        encoderHiddenStates: tf.slice(cond.encoderHiddenStates, row, 1),
        pooledProjections: tf.slice(cond.pooledProjections, row, 1),
        guidance: [[3.5, 1][row]!],
      };
      const alone = await run(model, own, tf.slice(x, row, 1), [900, 100][row]!);
      expect(maxAbsDifference(both.data.slice(row * 72, (row + 1) * 72), alone.data)).toBeLessThan(SAME_SUMS);
    }
    weights.dispose();
  });

  test('sees the time, the text, the pooled text, the guidance and where a token stands', async () => {
    const { model, weights } = variant({ guidance_embeds: true });
    const [x, cond] = [values([1, 6, 12]), { ...condition(1), guidance: [3.5] }];
    const of = async (change: Partial<FluxCondition>, time = 500) =>
      (await run(model, { ...cond, ...change }, x, time)).data;
    const base = await of({});
    const others = [
      await of({}, 400),
      await of({ encoderHiddenStates: values([1, 4, 10], 9) }),
      await of({ pooledProjections: values([1, 6], 9) }),
      await of({ guidance: [1] }),
      await of({ imgIds: grid(3, 2) }),
    ];
    for (const other of others) expect(maxAbsDifference(other, base)).toBeGreaterThan(1e-6);
    // Zeros are where text tokens stand anyway.
    expect([...(await of({ txtIds: Array(4).fill([0, 0, 0]) }))]).toEqual([...base]);
    weights.dispose();
  });

  test('image tokens in another order, with their positions, give the same outputs in that order', async () => {
    const { model, weights } = variant({});
    const order = [3, 0, 5, 1, 4, 2];
    const [x, cond] = [values([1, 6, 12]), condition(1)];
    const straight = await run(model, cond, x, 500);
    const shuffled = await run(
      model,
      { ...cond, imgIds: order.map(n => cond.imgIds[n]!) },
      tf.gather(x, order, 1),
      500,
    );
    const expected = order.flatMap(n => [...straight.data.slice(n * 12, (n + 1) * 12)]);
    expect(maxAbsDifference(shuffled.data, expected)).toBeLessThan(SAME_SUMS);
    weights.dispose();
  });

  test('any range of blocks can be run on its own, and a context outlives its streams', async () => {
    const { model, weights } = variant({});
    const [x, cond] = [values([1, 6, 12]), condition(1)];
    const before = tf.memory().numTensors;
    const context = model.prepare(cond, x.shape);
    const stream = model.embed(x, 500, context);
    const seen: number[] = [];
    const whole = await runBlocks(model, stream, { onBlock: i => void seen.push(i) });
    const first = await runBlocks(model, stream, { to: 1 });
    const rest = await runBlocks(model, { ...stream, tokens: first }, { from: 1 });
    expect(seen).toEqual([0, 1, 2]);
    expect([...rest.hidden.dataSync()]).toEqual([...whole.hidden.dataSync()]);
    release([stream, whole, first, rest]);
    release(model.embed(x, 400, context));
    release(context);
    expect(tf.memory().numTensors).toBe(before);
    weights.dispose();
    release([x, cond]);
  });

  test('a time or guidance for each row is taken, one for all too, and any other number of them refused', () => {
    expect([...perRow(3, 2).dataSync()]).toEqual([3, 3]);
    expect([...perRow([1, 2], 2, 1000).dataSync()]).toEqual([1000, 2000]);
    expect(() => perRow([1, 2], 3)).toThrow(ShapeError);
    expect(() => perRow([1, 2, 3], 1)).toThrow('A batch of 1 was given 3 times or guidance values.');
  });
});

describe('the configuration of FLUX', () => {
  const parse = (change: object) => parseConfig(familyOf('FluxTransformer2DModel').schema, { ...flux, ...change }, 'c');

  test.each([
    [{ axes_dims_rope: [2, 2, 2] }, 'axes_dims_rope must add up to attention_head_dim'],
    [{ axes_dims_rope: [3, 3, 2] }, 'axes_dims_rope'],
    [{ attention_head_dim: 7 }, 'attention_head_dim'],
    [{ num_layers: -1 }, 'num_layers'],
    [{ in_channels: 'many' }, 'in_channels'],
    [{ patch_size: 2 }, 'patch_size'],
    [{ _class_name: 'Other' }, '_class_name'],
  ])('%j is refused by name', (change, field) => {
    expect(() => parse(change)).toThrow(ConfigError);
    expect(() => parse(change)).toThrow(field);
  });

  test('of the published model has its 11.9 billion parameters', () => {
    const published = fluxConfig.parse({ _class_name: 'FluxTransformer2DModel', guidance_embeds: true });
    expect(parameterCount(fluxParameters(published))).toBe(11_901_408_320);
  });

  test('of a class that there is not names those that there are', () => {
    expect(() => familyOf('UNet')).toThrow(CheckpointError);
    expect(() => familyOf('UNet')).toThrow('"UNet" is not one that ertacache runs.');
    expect(modelClassNames()).toContain('FluxTransformer2DModel');
  });
});
