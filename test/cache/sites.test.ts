import * as tf from '@tensorflow/tfjs-core';
import { ertacache } from '../../src/cache/ertacache';
import { type Evaluation, evaluateFunction } from '../../src/cache/evaluation';
import { none } from '../../src/cache/none';
import type { StepInfo } from '../../src/cache/policy';
import { reuseLast } from '../../src/cache/predictor';
import { residualBranch, residualHistory } from '../../src/cache/residual';
import { type SiteName, site, siteNames } from '../../src/cache/sites';
import { uniform } from '../../src/cache/uniform';
import { UnsupportedError, UsageError } from '../../src/errors';
import type { Job, Pipeline } from '../../src/sampling/pipeline';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';
import { toyPipeline } from '../support/toy-pipeline';

/** `x + (v - x)` is off from `v` by an ulp of the larger of the two; latents and outputs stay below 8. */
const ADDED_BACK = 1e-6;
/** The same on the token stream, then carried through the head's norm and product. */
const ADDED_BACK_INSIDE = 2e-5;

const step = (index: number): StepInfo => ({ index, steps: 4, sigma: 1 - index / 4, sigmaNext: 1 - (index + 1) / 4 });

test('another name is no site', () => {
  expect(() => uniform(4, 2, 'nope' as SiteName)).toThrow(
    new UsageError('The argument site is "nope", and must be one of hidden, output, velocity.'),
  );
});

describeOnBackends('sites', () => {
  let pipeline: Pipeline;
  let job: Job;
  beforeAll(async () => {
    pipeline = toyPipeline();
    job = await pipeline.prepare({ prompts: ['red heart', 'lion'], seeds: [1, 2], steps: 4, guidance: 1 });
  });
  afterAll(() => {
    job.release();
    pipeline.dispose();
  });

  /** What `work` makes of an evaluation at a latent and time; the evaluation is released. */
  async function at<T>(sample: tf.Tensor, time: number, work: (e: Evaluation) => Promise<T> | T): Promise<T> {
    const evaluation = job.branches[0]!.evaluate(sample, time);
    try {
      return await work(evaluation);
    } finally {
      evaluation.release();
    }
  }

  test.each(siteNames)('%s: what is rebuilt where it was captured is the output itself', async name => {
    const before = tf.memory().numTensors;
    const [truth, captured] = [
      await at(job.latents, 700, e => e.compute()),
      await at(job.latents, 700, e => site(name).capture(e)),
    ];
    const rebuilt = await at(job.latents, 700, e => site(name).rebuild(e, captured.kept));
    expect([...captured.output.dataSync()]).toEqual([...truth.dataSync()]);
    const tolerance = { hidden: ADDED_BACK_INSIDE, output: ADDED_BACK, velocity: 0 }[name];
    expect(maxAbsDifference(rebuilt.dataSync(), truth.dataSync())).toBeLessThanOrEqual(tolerance);
    tf.dispose([truth, rebuilt, captured.output, captured.kept]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('velocity gives the old output at any other state, output moves with the latent, hidden sees the time', async () => {
    const moved = tf.tidy(() => tf.mul(job.latents, 0.9));
    for (const name of siteNames) {
      const { output, kept } = await at(job.latents, 700, e => site(name).capture(e));
      const later = await at(moved, 600, e => site(name).rebuild(e, kept));
      const sameTime = await at(moved, 700, e => site(name).rebuild(e, kept));
      const change = (a: tf.Tensor, b: tf.Tensor): number => maxAbsDifference(a.dataSync(), b.dataSync());
      if (name === 'velocity') expect(change(later, output)).toBe(0);
      if (name === 'output') {
        const expected = tf.tidy(() => tf.add(output, tf.sub(moved, job.latents)));
        expect(change(later, expected)).toBeLessThan(ADDED_BACK);
        expected.dispose();
      }
      // The head is told the time; the other two sites never ask the model again.
      if (name === 'hidden') expect(change(later, sameTime)).toBeGreaterThan(1e-3);
      else expect(change(later, sameTime)).toBe(0);
      tf.dispose([output, kept, later, sameTime]);
    }
    moved.dispose();
  });

  test('hidden rebuilds without running a block', async () => {
    const { output, kept } = await at(job.latents, 700, e => site('hidden').capture(e));
    const spent = await at(job.latents, 650, e => {
      site('hidden').rebuild(e, kept).dispose();
      return e.spent();
    });
    expect(spent).toBe(0);
    tf.dispose([output, kept]);
  });

  test('hidden asks for a model in three parts, and says so; the others take any function', async () => {
    const evaluation = evaluateFunction(job.latents, x => x.clone());
    await expect(site('hidden').capture(evaluation)).rejects.toThrow(UnsupportedError);
    await expect(site('hidden').capture(evaluation)).rejects.toThrow('single function');
    for (const name of ['output', 'velocity'] as const) {
      const { output, kept } = await site(name).capture(evaluation);
      tf.dispose([output, kept]);
    }
  });

  describe('the residual history', () => {
    test('sees the computed and the rebuilt output of one step, and keeps what it is told to', async () => {
      const before = tf.memory().numTensors;
      const history = residualHistory(site('output'), reuseLast);
      const [first, second] = [tf.onesLike(job.latents), tf.zerosLike(job.latents)];
      const giving = (velocity: tf.Tensor): Evaluation => evaluateFunction(job.latents, () => velocity.clone());
      expect(history.rebuild(step(0), giving(first))).toBeUndefined();
      const kept = await history.capture(giving(first));
      expect(history.bytes()).toBe(0);
      history.keep(step(0), kept.residual);
      expect(history.bytes()).toBe(job.latents.size * 4);

      // Both sides at one state; nothing is kept of the step that was only looked at.
      const [truth, guess] = [await history.capture(giving(second)), history.rebuild(step(1), giving(second))!];
      const again = history.rebuild(step(2), giving(second))!;
      expect(truth.output.dataSync()[0]).toBe(0);
      expect(guess.output.dataSync()[0]).toBeCloseTo(1, 6);
      expect([...again.residual.dataSync()]).toEqual([...kept.residual.dataSync()]);
      for (const { output, residual } of [kept, truth, guess, again]) tf.dispose([output, residual]);
      history.dispose();
      tf.dispose([first, second]);
      expect(tf.memory().numTensors).toBe(before);
    });

    test('holds nothing back when rebuilding fails', async () => {
      const failing = {
        ...site('velocity'),
        rebuild: (): never => {
          throw new Error('on purpose');
        },
      };
      const history = residualHistory(failing, reuseLast);
      history.keep(step(0), job.latents);
      const before = tf.memory().numTensors;
      await at(job.latents, 700, e => expect(() => history.rebuild(step(1), e)).toThrow('on purpose'));
      expect(tf.memory().numTensors).toBe(before);
      history.dispose();
    });
  });

  describe('the residual branch', () => {
    test('computes where nothing is kept yet, whatever it was told', async () => {
      const branch = residualBranch({ site: site('velocity'), decide: () => 'reuse' });
      const first = await at(job.latents, 1000, e => branch.evaluate(step(0), e));
      const second = await at(job.latents, 750, e => branch.evaluate(step(1), e));
      expect([first.decision, second.decision]).toEqual(['compute', 'reuse']);
      tf.dispose([first.output, second.output]);
      branch.dispose();
    });

    test('holds one residual however long it runs, says its bytes, and lets go of it', async () => {
      const before = tf.memory();
      const branch = residualBranch({ site: site('output'), decide: () => 'compute' });
      expect(branch.bytes()).toBe(0);
      for (let i = 0; i < 3; i++) {
        (await at(job.latents, 900 - i, e => branch.evaluate(step(i), e))).output.dispose();
        expect(branch.bytes()).toBe(job.latents.size * 4);
        expect(tf.memory().numTensors).toBe(before.numTensors + 1);
      }
      branch.dispose();
      expect(branch.bytes()).toBe(0);
      expect(tf.memory().numTensors).toBe(before.numTensors);
    });

    test('with first-order prediction continues a straight line exactly', async () => {
      const slope = tf.onesLike(job.latents);
      const branch = residualBranch({
        site: site('velocity'),
        decide: ({ index }) => (index < 2 ? 'compute' : 'reuse'),
        predictor: {
          depth: 2,
          predict: ([last, before]) => tf.tidy(() => tf.add(last!.value, tf.sub(last!.value, before!.value))),
        },
      });
      const values: number[] = [];
      for (let i = 0; i < 3; i++) {
        const line = evaluateFunction(job.latents, () => tf.mul(slope, i + 1));
        const { output } = await branch.evaluate(step(i), line);
        values.push(output.dataSync()[0]!);
        output.dispose();
      }
      expect(values).toEqual([1, 2, 3]);
      branch.dispose();
      slope.dispose();
    });
  });

  describe('the ertacache policy', () => {
    const reused = [false, true, true, false];
    const settings = (name: SiteName) => ({
      reused,
      site: name,
      timestep: { form: 'off' as const, phi: [] },
      rectify: { form: 'off' as const },
    });
    const run = async (of: Job, policy = ertacache(settings('hidden'))) => {
      const { latents, steps } = await sampleLoop({ ...of, solver: of.solver() }, policy);
      const values = latents.dataSync<'float32'>();
      latents.dispose();
      return { values, steps };
    };

    test.each(siteNames)('%s: decides as its schedule says, and reused steps cost no block', async name => {
      const { steps } = await run(job, ertacache(settings(name)));
      expect(steps.map(s => s.decisions)).toEqual([['compute'], ['reuse'], ['reuse'], ['compute']]);
      expect(steps.map(s => s.forwards)).toEqual([1, 0, 0, 1]);
    });

    test('with nothing reused equals no cache to the bit', async () => {
      const all = await run(job, ertacache({ ...settings('velocity'), reused: reused.map(() => false) }));
      expect([...all.values]).toEqual([...(await run(job, none())).values]);
    });

    test('refuses to reuse the first step', () => {
      expect(() => ertacache({ ...settings('hidden'), reused: [true, false] })).toThrow('first step');
    });

    test('refuses a run of another number of steps, before and when it begins', () => {
      const policy = ertacache(settings('hidden'));
      expect(() => policy.adjust!([1, 0.5, 0])).toThrow('for 4 steps, and this run has 2');
      expect(() => policy.begin({ steps: 5, sigmas: [1, 0.8, 0.6, 0.4, 0.2, 0] })).toThrow('this run has 5');
    });

    test('applies a rectification at the steps it has coefficients for, computed ones included', async () => {
      const before = tf.memory().numTensors;
      const seen: number[][] = [];
      const policy = ertacache({
        ...settings('velocity'),
        rectify: { form: 'lsq', steps: [null, { one: 7 }, null, { one: 9 }] },
      });
      const solver = job.solver();
      const watched: typeof solver = {
        ...solver,
        step(index, output, sample) {
          seen.push([output.dataSync()[0]!, output.dataSync()[1]!]);
          return solver.step(index, output, sample);
        },
      };
      const { latents } = await sampleLoop({ ...job, solver: watched }, policy);
      latents.dispose();
      expect(seen[1]).toEqual([7, 7]);
      expect(seen[2]).toEqual(seen[0]);
      expect(seen[3]).toEqual([9, 9]);
      expect(tf.memory().numTensors).toBe(before);
    });

    test('corrects computed steps by least squares only', async () => {
      const policy = ertacache({
        ...settings('velocity'),
        rectify: { form: 'linear', channelAxis: 2, steps: [{ K: [0], B: [2] }, null, null, { K: [0], B: [2] }] },
      });
      const plain = ertacache(settings('velocity'));
      expect((await run(job, policy)).values).toEqual((await run(job, plain)).values);
    });

    test('rows of a batch do not touch each other', async () => {
      const { values } = await run(job);
      for (const [row, prompt] of ['red heart', 'lion'].entries()) {
        const alone = await pipeline.prepare({ prompts: [prompt], seeds: [row + 1], steps: 4, guidance: 1 });
        const own = (await run(alone)).values;
        // The same sums in other shapes of product, over four steps.
        expect(maxAbsDifference(own, values.slice(row * own.length, (row + 1) * own.length))).toBeLessThan(1e-4);
        alone.release();
      }
    });
  });
});
