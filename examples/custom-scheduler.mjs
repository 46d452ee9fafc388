/**
 * Calibrating for a sampler that ertacache does not have: steps of second order (Adams–Bashforth), over times that run
 * from 0 to 1. The velocity is made of plain operations: the exact flow from noise to five points.
 * Needs `npm install ertacache @tensorflow/tfjs-core`.
 */
import * as tf from '@tensorflow/tfjs-core';
import { calibrate, readPolicy, sampleLatents, selectBackend, writePolicy } from 'ertacache';
import { uniform } from 'ertacache/cache';

await selectBackend('auto');

const points = tf.tensor2d([0, 1, 2, 3, 4].map(i => [Math.cos(1.26 * i), Math.sin(1.26 * i)]));
/** Towards the points, each as likely as it is to have led to `x` at `time`: 0 is noise, 1 the points. */
const velocity = (x, time) => {
  const apart = tf.sub(tf.expandDims(x, 1), tf.mul(points, time));
  const likely = tf.softmax(tf.div(tf.sum(tf.square(apart), 2), -2 * (1 - time) ** 2 - 1e-3));
  return tf.div(tf.sub(tf.matMul(likely, points), x), 1 - time);
};

const STEPS = 24;
/** Noise levels fall, whatever a model's times do. A solver is made afresh for every run, so it may remember. */
const scheduler = {
  name: 'adams-bashforth-2',
  sigmas: Array.from({ length: STEPS + 1 }, (_, i) => 1 - i / STEPS),
  solver(sigmas = this.sigmas) {
    let before;
    return {
      sigmas,
      timesteps: sigmas.slice(0, -1).map(sigma => 1 - sigma),
      step(index, output, sample) {
        const length = sigmas[index] - sigmas[index + 1];
        const next = tf.tidy(() => {
          const reach = before ? length / (2 * before.length) : 0;
          const extrapolated = before ? tf.add(output, tf.mul(tf.sub(output, before.output), reach)) : output;
          return tf.add(sample, tf.mul(extrapolated, length));
        });
        before?.output.dispose();
        before = { output: output.clone(), length };
        return next;
      },
      dispose: () => before?.output.dispose(),
    };
  },
};

const calibrated = await calibrate(velocity, {
  runs: [{ latents: tf.randomNormal([256, 2], 0, 1, 'float32', 1) }],
  scheduler,
  schedule: { computed: STEPS / 2 },
  model: { id: 'five-points', hash: '1' },
});
await writePolicy('five-points.json', calibrated);

const policy = await readPolicy('five-points.json');
const start = tf.randomNormal([256, 2], 0, 1, 'float32', 2);
const model = { id: 'five-points', hash: '1' };
const uncached = await sampleLatents(velocity, start, { scheduler });
for (const choice of [uniform(STEPS, STEPS / 2, 'velocity'), policy]) {
  const { latents, schedule } = await sampleLatents(velocity, start, { scheduler, policy: choice, model });
  const error = tf.sqrt(tf.mean(tf.squaredDifference(latents, uncached.latents))).dataSync()[0];
  console.log(`${'begin' in choice ? 'uniform   ' : 'calibrated'} ${schedule} off by ${error.toExponential(3)}`);
}
