import * as tf from '@tensorflow/tfjs-core';
import { reuseLast } from '../../src/cache/predictor';
import { site } from '../../src/cache/sites';
import { fitRectification } from '../../src/calibration/fit';
import { type Reference, referenceRun } from '../../src/calibration/reference';
import type { Job, Pipeline } from '../../src/sampling/pipeline';
import { toyPipeline } from '../lab/compare/toy';
import { describeOnBackends } from '../support/backends';

describeOnBackends('least squares over runs', () => {
  let pipeline: Pipeline;
  let jobs: Job[];
  let references: Reference[];
  beforeAll(async () => {
    pipeline = toyPipeline();
    const run = (seed: number) => pipeline.prepare({ prompts: ['lion'], seeds: [seed], guidance: 1, steps: 8 });
    jobs = await Promise.all([1, 2, 3, 4].map(run));
    references = await Promise.all(jobs.map(job => referenceRun(job, site('velocity'))));
  });
  afterAll(() => {
    for (const reference of references) reference.dispose();
    for (const job of jobs) job.release();
    pipeline.dispose();
  });

  test('one that has gone astray does not take the others with it', async () => {
    const reused = [false, true, false, true, false, true, true, false];
    const options = { site: site('velocity'), predictor: reuseLast, reused };
    const [last, ...others] = [references[3] as Reference, ...references.slice(0, 3)];
    const astray: Reference = {
      ...last,
      // While the first step is computed, it comes to be elsewhere.
      samples: last.samples.map((s, i) => (i === 0 ? s : tf.add(s, 5))),
      dispose() {},
    };
    const alone = await fitRectification(others, 'lsq', 'scalar', options);
    const before = tf.memory().numTensors;
    const together = await fitRectification([...others, astray], 'lsq', 'scalar', options);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(astray.samples.slice(1));
    const worst = (errors: readonly number[]): number => Math.max(...errors.slice(0, 3));
    // Its pull is bounded, not gone. Weighed like the others it makes them 29 dB worse.
    expect(worst(together.errors)).toBeLessThan(10 * worst(alone.errors));
  });

  test('computed steps are corrected once the run has drifted, and only where the solver can say what leads back', async () => {
    const reused = [false, false, true, false, true, true, false, false];
    const options = { site: site('velocity'), predictor: reuseLast, reused };
    const corrected = async (of: readonly Reference[]): Promise<boolean[]> => {
      const { rectify } = await fitRectification(of, 'lsq', 'scalar', options);
      if (rectify.form !== 'lsq') throw new Error('another form was fitted');
      return rectify.steps.map(step => step !== null);
    };
    expect(await corrected(references)).toEqual([false, false, true, true, true, true, true, true]);
    const withoutAim = references.map(r => {
      const solver: Job['solver'] = sigmas => {
        const { aim, ...rest } = r.job.solver(sigmas);
        return rest;
      };
      return { ...r, job: { ...r.job, solver } };
    });
    expect(await corrected(withoutAim)).toEqual(reused);
  });
});
