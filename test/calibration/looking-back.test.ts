import * as tf from '@tensorflow/tfjs-core';
import { uniformReuse } from '../../src/cache/uniform';
import { type CalibrateVelocityOptions, calibrate } from '../../src/calibration/calibrate';
import type { Policy } from '../../src/policy/data';
import { sampleLatents } from '../../src/sampling/velocity/sample-latents';
import type { Scheduler } from '../../src/sampling/velocity/scheduler';
import { describeOnBackends } from '../support/backends';

const STEPS = 16;
const SIGMAS = Array.from({ length: STEPS + 1 }, (_, i) => 1 - i / STEPS);

/** Steps of second order, which look back on the last output. */
const secondOrder: Scheduler = {
  name: 'adams-bashforth-2',
  sigmas: SIGMAS,
  solver(sigmas = SIGMAS) {
    let before: { readonly output: tf.Tensor; readonly length: number } | undefined;
    return {
      sigmas,
      timesteps: sigmas.slice(0, -1),
      step(index, output, sample) {
        const length = (sigmas[index] as number) - (sigmas[index + 1] as number);
        const last = before;
        const next = tf.tidy(() => {
          const steeper = last ? tf.mul(tf.sub(output, last.output), length / (2 * last.length)) : 0;
          return tf.sub(sample, tf.mul(tf.add(output, steeper), length));
        });
        last?.output.dispose();
        before = { output: output.clone(), length };
        return next;
      },
      dispose: () => before?.output.dispose(),
    };
  },
};

describeOnBackends('a sampler that looks back', () => {
  // Towards two points, 1 and -1, each as likely as it is to have led here.
  const velocity = (x: tf.Tensor, t: number): tf.Tensor =>
    tf.tidy(() => tf.div(tf.sub(x, tf.tanh(tf.div(tf.mul(x, 1 - t), t * t + 0.05))), t));

  test.each([5, 8])('of %d computed steps the search errs no more than even ones', async computed => {
    const latents = tf.randomNormal([64, 2], 0, 1, 'float32', 1);
    const options: CalibrateVelocityOptions = { runs: [{ latents }], scheduler: secondOrder, schedule: { computed } };
    const searched = await calibrate(velocity, options);
    const even = await calibrate(velocity, { ...options, schedule: { reused: uniformReuse(STEPS, computed) } });
    const uncached = await sampleLatents(velocity, latents, { scheduler: secondOrder });
    const errorOf = async (policy: Policy): Promise<number> => {
      const drawn = await sampleLatents(velocity, latents, { scheduler: secondOrder, policy });
      return tf.tidy(() => tf.mean(tf.squaredDifference(drawn.latents, uncached.latents)).dataSync()[0] as number);
    };
    expect(await errorOf(searched)).toBeLessThanOrEqual((await errorOf(even)) * 1.001);
  });
});
