import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { ConfigError, MemoryError } from '../../src/errors';
import { relativeRms } from '../../src/lab/verify/verify';
import { loadDenoiser } from '../../src/models/load-denoiser';
import { preset } from '../../src/models/presets';
import type { ComputeType } from '../../src/nn/bfloat16';
import { forward } from '../../src/transformer/run';
import { openModelFolderAt } from '../../src/weights/disk';
import { describeOnBackends } from '../support/backends';
import { values } from './support';

const folder = join(__dirname, '../fixtures/checkpoints/mixed-dtypes/transformer');

async function output(offload: boolean, dtype?: ComputeType) {
  const component = await openModelFolderAt(folder);
  const { denoiser, ...facts } = await loadDenoiser(component, { offload, dtype });
  const [latent, text] = [values([1, 4, 2, 4, 6]), values([1, 5, 16])];
  const context = denoiser.prepare({ encoderHiddenStates: text }, latent.shape);
  const result = await forward(denoiser, latent, 400, context);
  const data = await result.data();
  tf.dispose([latent, text, result, context as tf.TensorContainer]);
  denoiser.weights.dispose();
  if (!offload) await component.source.close();
  return { data, ...facts };
}

describeOnBackends('loading a transformer in bfloat16', () => {
  test('in memory or from disk, the output is the same, near float32, and takes less memory', async () => {
    const before = tf.memory().numTensors;
    const [exact, resident, streamed] = [
      await output(false),
      await output(false, 'bfloat16'),
      await output(true, 'bfloat16'),
    ];
    expect(tf.memory().numTensors).toBe(before);
    expect(streamed.data).toEqual(resident.data);
    expect(resident.data).not.toEqual(exact.data);
    // Ten roundings of bfloat16.
    expect(relativeRms(resident.data as Float32Array, exact.data as Float32Array)).toBeLessThan(10 * 2 ** -9);
    expect(resident.bytes).toBeLessThan(0.7 * exact.bytes);
  });
}, ['native']);

describeOnBackends('loading a transformer', () => {
  test('in memory or from disk, the output is the same', async () => {
    const before = tf.memory().numTensors;
    const [resident, streamed] = [await output(false), await output(true)];
    expect(tf.memory().numTensors).toBe(before);
    expect(streamed.data).toEqual(resident.data);
    expect(resident.parameters).toBe(21_000);
    expect(resident.bytes).toBe(4 * 21_000);
    // One of two blocks as float32 and two as stored, each parameter of which may begin anywhere in a page.
    expect(streamed.bytes).toBeLessThan(1.4 * 4 * 21_000);
    expect(streamed.className).toBe('WanTransformer3DModel');
    expect(streamed.config).toMatchObject({ num_layers: 2, _class_name: 'WanTransformer3DModel' });
  });

  test('what cannot fit is refused before anything is read', async () => {
    const { source, ...component } = await openModelFolderAt(folder);
    const config = { ...preset('flux-dev').transformer, num_layers: 4000 };
    const read = jest.fn();
    const huge = { ...component, className: 'FluxTransformer2DModel', config, source: { ...source, read } };
    const error = await loadDenoiser(huge).catch(e => e);
    expect(error).toBeInstanceOf(MemoryError);
    expect(error.hint).toContain('--offload');
    const bad = { ...component, config: { ...component.config, num_layers: -1 }, source };
    await expect(loadDenoiser(bad)).rejects.toThrow(ConfigError);
    expect(read).not.toHaveBeenCalled();
    await source.close();
  });
});
