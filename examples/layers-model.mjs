/**
 * A denoiser of one's own: a LayersModel that is trained here on points along a ring, calibrated to half of its calls,
 * and cached. Needs `npm install ertacache @tensorflow/tfjs-core @tensorflow/tfjs-layers`.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { calibrate, hashTensors, sampleLatents, selectBackend, withCache } from 'ertacache';
import { uniform } from 'ertacache/cache';

await selectBackend('auto');

// The denoiser, fifteen lines: it learns which way a point moves between noise (t = 1) and the ring (t = 0).
const angle = tf.randomUniform([2048, 1], 0, 2 * Math.PI, 'float32', 1);
const ring = tf.concat([tf.cos(angle), tf.sin(angle)], 1);
const noise = tf.randomNormal([2048, 2], 0, 1, 'float32', 2);
const times = tf.randomUniform([2048, 1], 0, 1, 'float32', 3);
const between = tf.add(tf.mul(ring, tf.sub(1, times)), tf.mul(noise, times));
const layer = (units, activation, seed, inputShape) => {
  const kernelInitializer = tfl.initializers.glorotUniform({ seed });
  return tfl.layers.dense({ units, activation, kernelInitializer, ...(inputShape && { inputShape }) });
};
const model = tfl.sequential({ layers: [layer(64, 'tanh', 4, [3]), layer(64, 'tanh', 5), layer(2, 'linear', 6)] });
model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
await model.fit(tf.concat([between, times], 1), tf.sub(noise, ring), { epochs: 24, batchSize: 128, shuffle: false });
const velocity = (x, t) => model.predict(tf.concat([x, tf.fill([x.shape[0], 1], t)], 1));

// Calibrated on some noise to call the model at 10 of 20 steps …
const sigmas = Array.from({ length: 21 }, (_, i) => 1 - i / 20);
const identity = { id: 'ring', hash: await hashTensors(model.getWeights()) };
const seen = tf.randomNormal([64, 2], 0, 1, 'float32', 7);
const policy = await calibrate(velocity, {
  runs: [{ latents: seen }],
  sigmas,
  schedule: { computed: 10 },
  model: identity,
});

// … and used on other noise: here with our loop, beside no cache and a cache that reuses every other step.
const start = tf.randomNormal([256, 2], 0, 1, 'float32', 8);
const uncached = await sampleLatents(velocity, start, { sigmas });
const results = {
  uniform: await sampleLatents(velocity, start, { sigmas, policy: uniform(20, 10, 'velocity') }),
  calibrated: await sampleLatents(velocity, start, { sigmas, policy, model: identity }),
};
for (const [name, { latents, schedule, forwards }] of Object.entries(results)) {
  const error = tf.sqrt(tf.mean(tf.squaredDifference(latents, uncached.latents))).dataSync()[0];
  console.log(`${name.padEnd(10)} ${schedule} ${forwards} calls, off by ${error.toExponential(3)}`);
}

// The same in a loop of one's own: a cached velocity takes the place of the velocity.
const cached = withCache(velocity, policy, { model: identity });
let x = start;
for (const [i, t] of cached.timesteps.entries()) {
  const v = await cached(x, t);
  x = tf.add(x, tf.mul(v, cached.sigmas[i + 1] - cached.sigmas[i]));
}
const apart = tf.max(tf.abs(tf.sub(x, results.calibrated.latents))).dataSync()[0];
console.log(`own loop   ${cached.schedule()} ${cached.forwards()} calls, off from ours by ${apart.toExponential(1)}`);
