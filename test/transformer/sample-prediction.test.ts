import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { denoiserBranch, single, unguided } from '../../src/sampling/guidance';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { denoiserOf, type VelocityParts } from '../../src/sampling/velocity/parts';
import { createFlowMatchEuler, flowMatchEulerConfig } from '../../src/schedulers/flow-match-euler';
import { forward } from '../../src/transformer/run';
import { velocityOfSample } from '../../src/transformer/sample-prediction';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';

const SHAPE = [2, 3, 2];
const NOISE = Array.from({ length: 12 }, (_, i) => Math.sin(3 * i + 1));

/** "Predicts" `x · t / 2000`: the time, the latent and what the blocks share all show in it. */
const halving: VelocityParts<unknown, { t: number }> = {
  embed: (x, t) => ({ hidden: x, shared: { t } }),
  blocks: (hidden, { t }) => tf.mul(hidden, t / 1000),
  head: hidden => tf.div(hidden, 2),
};
const denoiser = () => denoiserOf(halving as VelocityParts<unknown>, () => undefined);

describeOnBackends('a model that predicts the clean picture', () => {
  test('moves away from its prediction, over the noise level', async () => {
    const before = tf.memory().numTensors;
    const x = tf.tensor(NOISE, SHAPE);
    const seen: string[] = [];
    const output = await forward(velocityOfSample(denoiser(), { trainTimesteps: 1000 }), x, 250, undefined, {
      tap: (name, compute) => {
        seen.push(name);
        return compute();
      },
    });
    const expected = NOISE.map(value => (value - value / 8) / 0.25);
    expect(maxAbsDifference(output.dataSync<'float32'>(), Float32Array.from(expected))).toBeLessThan(1e-5);
    expect(seen).toEqual(['sample', 'velocity']);
    tf.dispose([x, output]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('is divided by the floor where the noise level is below it', async () => {
    const model = velocityOfSample(denoiser(), { trainTimesteps: 1000, velocityFloor: 0.05 });
    const x = tf.tensor(NOISE, SHAPE);
    for (const [t, divisor] of [
      [20, 0.05],
      [100, 0.1],
    ] as const) {
      const output = await forward(model, x, t, undefined);
      const expected = NOISE.map(value => (value * (1 - t / 2000)) / divisor);
      expect(maxAbsDifference(output.dataSync<'float32'>(), Float32Array.from(expected))).toBeLessThan(1e-4);
      output.dispose();
    }
    x.dispose();
  });

  test('knows the time of every row', async () => {
    const constant = denoiserOf({ ...halving, blocks: tf.zerosLike } as VelocityParts<unknown>, () => undefined);
    const x = tf.tensor(NOISE, SHAPE);
    const output = await forward(velocityOfSample(constant, { trainTimesteps: 1000 }), x, [500, 250], undefined);
    const expected = NOISE.map((value, i) => value * (i < 6 ? 2 : 4));
    expect(maxAbsDifference(output.dataSync<'float32'>(), Float32Array.from(expected))).toBeLessThan(1e-5);
    tf.dispose([x, output]);
  });

  test('ends on its prediction', async () => {
    const sigmas = [1, 0.5, 0.125, 0];
    const config = flowMatchEulerConfig.parse({ _class_name: 'FlowMatchEulerDiscreteScheduler' });
    const timesteps = sigmas.slice(0, -1).map(sigma => 1000 * sigma);
    const model = velocityOfSample(denoiser(), { trainTimesteps: 1000 });
    const noise = tf.tensor(NOISE, SHAPE);
    const before = tf.memory().numTensors;
    const { latents } = await sampleLoop(
      {
        branches: [denoiserBranch({ name: 'conditional', model, context: undefined, expand: single })],
        guide: unguided,
        latents: noise,
        solver: createFlowMatchEuler(config, { sigmas, timesteps }),
      },
      none(),
    );
    // x + (σ' - σ) / σ · (x - σ x / 2), step by step.
    const factor = sigmas
      .slice(0, -1)
      .reduce((x, sigma, i) => x * (1 + (((sigmas[i + 1] as number) - sigma) / sigma) * (1 - sigma / 2)), 1);
    const last = latents.dataSync<'float32'>();
    expect(maxAbsDifference(last, Float32Array.from(NOISE.map(value => value * factor)))).toBeLessThan(1e-6);
    latents.dispose();
    expect(tf.memory().numTensors).toBe(before);
    noise.dispose();
  });
});
