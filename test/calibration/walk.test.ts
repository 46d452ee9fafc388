import * as tf from '@tensorflow/tfjs-core';
import { reuseLast } from '../../src/cache/predictor';
import { type SiteName, site, siteNames } from '../../src/cache/sites';
import { fitRectification, fitTrust } from '../../src/calibration/fit';
import { type Reference, referenceAt, referenceRun } from '../../src/calibration/reference';
import { walk, walkToBudget } from '../../src/calibration/search/walk';
import { InterruptedError, NumericError } from '../../src/errors';
import { computedSteps } from '../../src/policy/data';
import type { Job, Pipeline } from '../../src/sampling/pipeline';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';
import { toyPipeline } from '../support/toy-pipeline';

const STEPS = 6;

describeOnBackends('the threshold walk', () => {
  let pipeline: Pipeline;
  let jobs: Job[];
  const references = new Map<SiteName, Reference[]>();
  const options = (name: SiteName) => ({ site: site(name), predictor: reuseLast });
  const text = (reused: readonly boolean[]): string => reused.map(r => (r ? '.' : '#')).join('');

  beforeAll(async () => {
    pipeline = toyPipeline();
    const requests = [
      { prompts: ['red heart', 'lion'], seeds: [1, 2] },
      { prompts: ['key'], seeds: [3] },
    ];
    jobs = [];
    for (const r of requests) jobs.push(await pipeline.prepare({ ...r, steps: STEPS, guidance: 2 }));
    for (const name of siteNames) {
      references.set(name, []);
      for (const job of jobs) references.get(name)!.push(await referenceRun(job, site(name)));
    }
  });
  afterAll(() => {
    for (const list of references.values()) for (const r of list) r.dispose();
    for (const job of jobs) job.release();
    pipeline.dispose();
  });

  test.each(siteNames)('%s: a larger λ never computes more steps, and the first one is always computed', async name => {
    const counts: number[] = [];
    for (const lambda of [1e-6, 0.3, 0.6, 100]) {
      const { reused, errors } = await walk(references.get(name)!, lambda, options(name));
      expect(reused).toHaveLength(STEPS);
      expect(reused[0]).toBe(false);
      expect(errors[0]).toBe(Number.POSITIVE_INFINITY);
      // What is decided is what was measured: reuse exactly where the error is below λ.
      expect(reused).toEqual(errors.map(e => e < lambda));
      counts.push(computedSteps(reused));
    }
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
    expect(counts[0]).toBe(STEPS);
    expect(counts.at(-1)).toBe(1);
  });

  test('the first error is the change of the residual from step to step, relative to the true one', async () => {
    const { errors } = await walk(references.get('velocity')!, 1e-6, options('velocity'));
    // With nothing reused the run stays on the uncached one, and residuals are its outputs, branch by branch. Without
    // guidance the guided output is the only branch.
    const job = await pipeline.prepare({ prompts: ['lion'], seeds: [4], steps: STEPS, guidance: 1 });
    const own = await referenceRun(job, site('velocity'));
    const { errors: alone } = await walk([own], 1e-6, options('velocity'));
    const l1 = (t: tf.Tensor): number => tf.tidy(() => tf.sum(tf.abs(t)).dataSync()[0]!);
    for (let i = 1; i < STEPS; i++) {
      const change = tf.tidy(() => l1(tf.sub(own.outputs[i - 1]!, own.outputs[i]!)));
      // Sums of 768 float32 numbers.
      expect(alone[i]).toBeCloseTo(change / l1(own.outputs[i]!), 5);
    }
    expect(errors.slice(1).every(e => e > 0 && e < 2)).toBe(true);
    own.dispose();
    job.release();
  });

  test.each([1, 2, 4, 5])('a budget of %d computed steps is hit exactly', async computed => {
    const { reused } = await walkToBudget(references.get('output')!.slice(1), computed, options('output'));
    expect(computedSteps(reused)).toBe(computed);
    expect(reused[0]).toBe(false);
  });

  test('one job of two rows and two jobs of one row decide the same', async () => {
    const row = async (prompt: string, seed: number) => {
      const job = await pipeline.prepare({ prompts: [prompt], seeds: [seed], steps: STEPS, guidance: 2 });
      return { job, reference: await referenceRun(job, site('hidden')) };
    };
    const [a, b] = [await row('red heart', 1), await row('lion', 2)];
    const together = await walk([references.get('hidden')![0]!], 0.5, options('hidden'));
    const apart = await walk([a.reference, b.reference], 0.5, options('hidden'));
    expect(text(apart.reused)).toBe(text(together.reused));
    for (const { job, reference } of [a, b]) {
      reference.dispose();
      job.release();
    }
  });

  test('the reference keeps the trajectory of the uncached run, and knows it between steps', async () => {
    const [reference] = references.get('velocity')!;
    const { samples, outputs, job } = reference!;
    expect([samples.length, outputs.length]).toEqual([STEPS + 1, STEPS]);
    for (let i = 0; i < STEPS; i++) {
      const length = job.sigmas[i + 1]! - job.sigmas[i]!;
      const expected = tf.tidy(() => tf.add(samples[i]!, tf.mul(outputs[i]!, length)).dataSync());
      expect(maxAbsDifference(samples[i + 1]!.dataSync(), expected)).toBeLessThan(1e-6);
    }
    const value = (sigma: number): number => tf.tidy(() => referenceAt(reference!, sigma).dataSync()[0]!);
    const [s1, s2] = [job.sigmas[1]!, job.sigmas[2]!];
    expect(value(s1)).toBeCloseTo(samples[1]!.dataSync()[0]!, 5);
    expect(value((s1 + s2) / 2)).toBeCloseTo((samples[1]!.dataSync()[0]! + samples[2]!.dataSync()[0]!) / 2, 5);
    expect(value(1)).toBeCloseTo(samples[0]!.dataSync()[0]!, 5);
    expect(value(0)).toBeCloseTo(samples[STEPS]!.dataSync()[0]!, 5);
  });

  describe('trust', () => {
    const reused = [false, true, true, false, true, false];

    test.each(siteNames)('%s: lies in [0, 1], and is 1 at computed steps', async name => {
      const phi = await fitTrust(references.get(name)!, { ...options(name), reused });
      expect(phi).toHaveLength(STEPS);
      for (const [i, p] of phi.entries()) {
        expect(p).toBeGreaterThanOrEqual(0);
        expect(p).toBeLessThanOrEqual(1);
        if (!reused[i]) expect(p).toBe(1);
      }
    });

    test('is 0 on the first reuse of a velocity, by definition', async () => {
      const phi = await fitTrust(references.get('velocity')!, { ...options('velocity'), reused });
      // The rebuilt output is the last one: |ṽ - v| is |v - v_before|, to the bit.
      expect([phi[1], phi[4]]).toEqual([0, 0]);
    });
  });

  test('a rectification has coefficients where steps are reused; least squares also where they are computed later', async () => {
    const reused = [false, true, false, true, true, false];
    for (const form of ['linear', 'sigmoid', 'lsq'] as const) {
      const { rectify, errors } = await fitRectification(references.get('output')!, form, 'scalar', {
        ...options('output'),
        reused,
      });
      if (rectify.form === 'off') throw new Error('nothing was fitted');
      expect(rectify.steps.map(s => s !== null)).toEqual(form === 'lsq' ? reused.map((_, i) => i > 0) : reused);
      expect(errors).toHaveLength(3);
      expect(errors.every(e => Number.isFinite(e) && e >= 0)).toBe(true);
    }
  });

  test('the least-squares form ends nearer to the uncached run than reuse alone', async () => {
    const follow = { ...options('output'), reused: [false, true, false, true, false, false] };
    const total = async (form: 'off' | 'lsq'): Promise<number> => {
      const { errors } = await fitRectification(references.get('output')!, form, 'scalar', follow);
      return errors.reduce((a, b) => a + b, 0);
    };
    expect(await total('lsq')).toBeLessThan(await total('off'));
  });

  describe('leaves no tensor behind', () => {
    test('when it is interrupted in the midst of several jobs', async () => {
      const before = tf.memory().numTensors;
      const stop = new AbortController();
      let looked = 0;
      // Between the first and the second job of a step, as a signal comes.
      const watched = {
        ...site('hidden'),
        capture: (e: Parameters<ReturnType<typeof site>['capture']>[0]) => {
          if (++looked === 5) stop.abort();
          return site('hidden').capture(e);
        },
      };
      const work = walk(references.get('hidden')!, 0.5, { ...options('hidden'), site: watched, signal: stop.signal });
      await expect(work).rejects.toThrow(InterruptedError);
      expect(tf.memory().numTensors).toBe(before);
    });

    test.each(['trust', 'lsq', 'linear'] as const)('when a fit of %s is interrupted', async what => {
      const before = tf.memory().numTensors;
      const stop = new AbortController();
      let steps = 0;
      // Least squares runs the model at computed steps only, and only those are counted.
      const last = what === 'lsq' ? 2 : 4;
      const following = {
        ...options('hidden'),
        reused: [false, true, true, false, true, false],
        signal: stop.signal,
        onStep: () => {
          if (++steps === last) stop.abort();
        },
      };
      const work =
        what === 'trust'
          ? fitTrust(references.get('hidden')!, following)
          : fitRectification(references.get('hidden')!, what, 'scalar', following);
      await expect(work).rejects.toThrow(InterruptedError);
      expect(tf.memory().numTensors).toBe(before);
    });

    test('when the model fails in the midst of a step', async () => {
      const before = tf.memory().numTensors;
      let captures = 0;
      const failing = {
        ...site('hidden'),
        capture: (e: Parameters<ReturnType<typeof site>['capture']>[0]) => {
          if (++captures === 6) throw new Error('on purpose');
          return site('hidden').capture(e);
        },
      };
      await expect(walk(references.get('hidden')!, 0.5, { ...options('hidden'), site: failing })).rejects.toThrow();
      expect(tf.memory().numTensors).toBe(before);
    });
  });
});

describeOnBackends('a model whose output is not a number', () => {
  test.each([
    ['in a block', 'single_transformer_blocks.0.proj_out.bias'],
    ['in the head alone, where no residual shows it', 'proj_out.bias'],
  ])('%s: stops the reference run at its first step, and nothing leaks', async (_, parameter) => {
    const before = tf.memory().numTensors;
    const pipeline = toyPipeline({
      change: (name, values) => {
        if (name === parameter) values[0] = Number.NaN;
      },
    });
    const job = await pipeline.prepare({ prompts: ['lion'], seeds: [1], steps: STEPS, guidance: 2 });
    const run = referenceRun(job, site('hidden'));
    await expect(run).rejects.toThrow(NumericError);
    await expect(run).rejects.toThrow('at step 1 is not finite');
    job.release();
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describeOnBackends('a model whose blocks add nothing', () => {
  test('is reused at every step but the first: there is nothing to be wrong about', async () => {
    const pipeline = toyPipeline({
      // Gates, biases included, make what a block adds.
      change: (name, values) => {
        if (/norm1?(_context)?\.linear\.(weight|bias)$/.test(name)) values.fill(0);
      },
    });
    const job = await pipeline.prepare({ prompts: ['lion'], seeds: [1], steps: 4, guidance: 1 });
    const reference = await referenceRun(job, site('hidden'));
    const { reused } = await walk([reference], 0.1, { site: site('hidden'), predictor: reuseLast });
    expect(reused).toEqual([false, true, true, true]);
    reference.dispose();
    job.release();
    pipeline.dispose();
  });
});
