import { resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { goldenImages } from '../../src/lab/verify/golden-pixels';
import { createLpips, type NamedWeights } from '../../src/metrics';
import { createAlexNet } from '../../src/metrics/alexnet';
import { normalised } from '../../src/metrics/lpips';
import { testImage } from '../media/pictures';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference, readGolden, readGoldenCase, readGoldenTensors } from '../support/golden';

const fixture = (name: string) => resolve(__dirname, '../fixtures/metrics', name);
const weights = readGoldenTensors(`${fixture('lpips_alex_64x64')}/weights.safetensors`) as NamedWeights;

describeOnBackends('LPIPS', () => {
  test.each(['lpips_alex_64x64', 'lpips_alex_48x72'])('%s: both forms, every layer and the map', async name => {
    const golden = readGolden(fixture(name));
    const { suggested_max_abs: tolerance } = readGoldenCase<{ suggested_max_abs: Record<string, number> }>(
      fixture(name),
    );
    const reference = goldenImages(golden.get('in.a')!)[0]!;
    const before = tf.memory().numTensors;
    const lpips = createLpips(weights);
    const loaded = tf.memory().numTensors;
    const scores = [];
    for (const other of goldenImages(golden.get('in.b')!)) scores.push(await lpips.compare(reference, other));
    expect(tf.memory().numTensors).toBe(loaded);
    lpips.dispose();
    expect(tf.memory().numTensors).toBe(before);

    const results: Record<string, ArrayLike<number>> = {
      lpips: scores.map(({ value }) => value),
      lpips_per_layer: scores.flatMap(({ perLayer }) => perLayer),
      lpips_spatial_mean: scores.map(({ spatial }) => spatial),
      lpips_spatial_map_0: scores[0]!.map,
    };
    for (const [output, values] of Object.entries(results)) {
      const error = maxAbsDifference(values, golden.get(`out.${output}`)!.data);
      expect({ output, passes: error <= tolerance[output]! }).toEqual({ output, passes: true });
    }
  });

  test('the activations are those of the reference network', async () => {
    const golden = readGolden(fixture('lpips_alex_48x72'));
    const net = createAlexNet(weights);
    const input = normalised(goldenImages(golden.get('in.a')!)[0]!);
    const features = net.features(input);
    for (const [k, activation] of features.entries()) {
      const means = await tf.tidy(() => tf.mean(tf.abs(activation), [0, 1, 2])).data();
      expect(maxAbsDifference(means, golden.get(`out.features_relu${k + 1}_mean_abs`)!.data)).toBeLessThan(4e-5);
    }
    net.dispose();
    tf.dispose([input, ...features]);
  });

  test('weights that lack a tensor or have another shape are refused', () => {
    const before = tf.memory().numTensors;
    const without = new Map(weights);
    without.delete('lin3.model.1.weight');
    expect(() => createLpips(without)).toThrow('The LPIPS weights have no lin3.model.1.weight.');
    expect(tf.memory().numTensors).toBe(before);
    const wrong = new Map(weights).set('features.0.bias', { shape: [3], data: new Float32Array(3) });
    expect(() => createLpips(wrong)).toThrow('The LPIPS weight features.0.bias is [3] and should be [64].');
  });

  test('pictures too small for the network are refused', async () => {
    const lpips = createLpips(weights);
    await expect(lpips.compare(testImage(30, 64), testImage(30, 64))).rejects.toThrow('at least 31×31 pixels');
    lpips.dispose();
  });
}, ['native', 'wasm']);
