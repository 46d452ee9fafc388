import * as tf from '@tensorflow/tfjs-core';
import { ertacache } from '../../src/cache/ertacache';
import { none } from '../../src/cache/none';
import type { CachePolicy, CacheRun } from '../../src/cache/policy';
import { uniform } from '../../src/cache/uniform';
import { draw } from '../../src/draw/draw';
import { InterruptedError, NumericError, ShapeError, UsageError } from '../../src/errors';
import { dense } from '../../src/media/pixels';
import { separateGuidance } from '../../src/sampling/guidance';
import type { BatchRequest, Job, Pipeline } from '../../src/sampling/pipeline';
import { runJob, runRequest } from '../../src/sampling/run-job';
import { type Run, type StepRecord, sampleLoop } from '../../src/sampling/sample-loop';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';
import { toyPipeline } from '../support/toy-pipeline';

const STEPS = 4;
const request: BatchRequest = { prompts: ['red heart', 'lion'], seeds: [1, 2], steps: STEPS, guidance: 2 };
/** Float32 sums in another order, through four steps of values below 8. */
const SAME_SUMS = 1e-4;

describeOnBackends('sampling', () => {
  let pipeline: Pipeline;
  let job: Job;
  let before: number;
  beforeAll(async () => {
    pipeline = toyPipeline();
    job = await pipeline.prepare(request);
  });
  afterAll(() => {
    job.release();
    pipeline.dispose();
  });
  beforeEach(() => {
    before = tf.memory().numTensors;
  });
  afterEach(() => expect(tf.memory().numTensors).toBe(before));

  const loop = (policy: CachePolicy, options: Parameters<typeof sampleLoop>[2] = {}, run: Partial<Run> = {}) =>
    sampleLoop({ ...job, solver: job.solver(), ...run }, policy, options);

  test.each(['none', 'hidden', 'velocity'] as const)('no tensor is downloaded in the loop (%s)', async site => {
    const policy =
      site === 'none'
        ? none()
        : ertacache({
            reused: [false, true, false, true],
            site,
            timestep: { form: 'off', phi: [] },
            rectify: { form: 'off' },
          });
    const engine = tf.engine();
    const spies = [jest.spyOn(engine, 'read'), jest.spyOn(engine, 'readSync')];
    try {
      const { latents, steps } = await loop(policy);
      expect(spies.map(spy => spy.mock.calls.length)).toEqual([0, 0]);
      // The spies see a download where there is one.
      await latents.data();
      expect(spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0)).toBeGreaterThan(0);
      expect(steps.map(step => step.forwards)).toEqual(site === 'none' ? [1, 1, 1, 1] : [1, 0, 1, 0]);
      latents.dispose();
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  });
  const valuesOf = (latents: tf.Tensor): Float32Array => {
    const values = latents.dataSync<'float32'>();
    latents.dispose();
    return values;
  };

  test('is Euler: every latent is the last one plus the step length times the output', async () => {
    const seen: Float32Array[] = [job.latents.dataSync<'float32'>()];
    const outputs: Float32Array[] = [];
    const solver = job.solver();
    const { latents } = await loop(
      none(),
      { onStep: (_, latent) => void seen.push(latent.dataSync<'float32'>()) },
      {
        solver: {
          ...solver,
          step(index, output, latent) {
            outputs.push(output.dataSync<'float32'>());
            return solver.step(index, output, latent);
          },
        },
      },
    );
    for (let i = 0; i < STEPS; i++) {
      const length = job.sigmas[i + 1]! - job.sigmas[i]!;
      const expected = seen[i]!.map((x, n) => x + length * outputs[i]![n]!);
      expect(maxAbsDifference(seen[i + 1]!, expected)).toBeLessThan(2e-6);
    }
    expect([...valuesOf(latents)]).toEqual([...seen.at(-1)!]);
  });

  test('tells of every step what it was, where it was, and what it cost', async () => {
    const records: StepRecord[] = [];
    const { latents, steps } = await loop(uniform(STEPS, 2, 'velocity'), { onStep: r => void records.push(r) });
    latents.dispose();
    expect(steps).toEqual(records);
    expect(steps.map(s => s.index)).toEqual([0, 1, 2, 3]);
    expect(steps.map(s => [s.sigma, s.sigmaNext])).toEqual([0, 1, 2, 3].map(i => [job.sigmas[i], job.sigmas[i + 1]]));
    expect(steps.map(s => s.decisions.join())).toEqual(['compute', 'reuse', 'compute', 'reuse']);
    expect(steps.map(s => s.forwards)).toEqual([1, 0, 1, 0]);
    // One velocity of both rows, with and without the prompt.
    expect(steps.map(s => s.cacheBytes)).toEqual(Array(STEPS).fill(2 * job.latents.size * 4));
    expect(steps.every(s => s.seconds >= 0)).toBe(true);
  });

  test('with both guidance branches in one batch equals a call for each', async () => {
    const parts = await Promise.all(
      ['conditional', 'unconditional'].map(async name => {
        const prompts = name === 'conditional' ? request.prompts : ['', ''];
        const own = await pipeline.prepare({ ...request, prompts, guidance: 1 });
        return { own, branch: { ...own.branches[0]!, name } };
      }),
    );
    const apart = valuesOf(
      (await loop(none(), {}, { branches: parts.map(p => p.branch), guide: separateGuidance(2) })).latents,
    );
    expect(maxAbsDifference(apart, valuesOf((await loop(none())).latents))).toBeLessThan(SAME_SUMS);
    for (const { own } of parts) own.release();
  });

  test('steers away from a negative prompt', async () => {
    const draw = async (negativePrompt?: string) => [
      ...dense(
        (await runRequest(pipeline, { ...request, ...(negativePrompt && { negativePrompt }) }, none())).media[0]!,
      ),
    ];
    expect(await draw('star')).not.toEqual(await draw());
  });

  test('without guidance takes one row a prompt, and a prompt of unknown words is the null prompt', async () => {
    const own = await pipeline.prepare({ ...request, guidance: 1 });
    const evaluation = own.branches[0]!.evaluate(own.latents, 500);
    expect(evaluation.sample.shape[0]).toBe(2);
    evaluation.release();
    own.release();
    const drawn = async (prompt: string) => [
      ...dense((await draw({ prompt, seed: 1, steps: 2, policy: 'none' }, { model: pipeline })).media),
    ];
    expect(await drawn('dragon')).toEqual(await drawn(''));
    expect(await pipeline.textLoss({ prompts: ['red dragon'], guidance: 1 })).toMatchObject([{ unknown: ['dragon'] }]);
  });

  test('is stopped by its signal between two steps, with an InterruptedError, and leaks nothing', async () => {
    for (const policy of [none(), uniform(STEPS, 2)]) {
      for (const when of [0, 1, STEPS - 2]) {
        const stop = new AbortController();
        const onStep = ({ index }: StepRecord): void => {
          if (index === when) stop.abort();
        };
        const work = loop(policy, { signal: stop.signal, onStep });
        await expect(work).rejects.toThrow(InterruptedError);
        expect(tf.memory().numTensors).toBe(before);
      }
    }
  });

  test('does nothing at all when its signal was aborted before', async () => {
    const onStep = jest.fn();
    await expect(loop(none(), { signal: AbortSignal.abort(), onStep })).rejects.toThrow(InterruptedError);
    expect(onStep).not.toHaveBeenCalled();
  });

  test('finishes when the signal comes after its last step', async () => {
    const stop = new AbortController();
    const onStep = ({ index }: StepRecord): void => {
      if (index === STEPS - 1) stop.abort();
    };
    (await loop(none(), { signal: stop.signal, onStep })).latents.dispose();
  });

  const failing = (method: 'evaluate' | 'correct' | 'branch'): CachePolicy => {
    const policy = none();
    const fail = (): never => {
      throw new Error('on purpose');
    };
    return {
      ...policy,
      begin(run): CacheRun {
        const begun = policy.begin(run);
        if (method === 'correct') return { ...begun, correct: fail };
        if (method === 'branch') return { ...begun, branch: () => ({ ...begun.branch(), bytes: fail }) };
        return { ...begun, branch: () => ({ ...begun.branch(), evaluate: async () => fail() }) };
      },
    };
  };

  test.each(['evaluate', 'correct', 'branch'] as const)('leaks nothing when a cache fails in %s', async method => {
    await expect(loop(failing(method))).rejects.toThrow('on purpose');
  });

  test('leaks nothing when the solver fails, or the one who watches', async () => {
    const fail = (): never => {
      throw new Error('on purpose');
    };
    await expect(loop(none(), {}, { solver: { ...job.solver(), step: fail } })).rejects.toThrow('on purpose');
    await expect(loop(none(), { onStep: fail })).rejects.toThrow('on purpose');
  });

  test('says that numbers stopped being finite, and where to look', async () => {
    const policy = ertacache({
      reused: [false, true, false, false],
      site: 'velocity',
      timestep: { form: 'off', phi: [] },
      rectify: { form: 'lsq', steps: [null, { sample: 3e38 }, null, null] },
    });
    const work = runJob(pipeline, job, policy);
    await expect(work).rejects.toThrow(NumericError);
    await expect(work).rejects.toMatchObject({ hint: expect.stringContaining('--policy none') });
  });

  test('refuses requests that cannot be right, and leaks nothing', async () => {
    const refused = (change: Partial<BatchRequest>) => pipeline.prepare({ ...request, ...change });
    await expect(refused({ seeds: [1] })).rejects.toThrow(ShapeError);
    await expect(refused({ prompts: [], seeds: [] })).rejects.toThrow(ShapeError);
    for (const steps of [0, -1, 2.5, Number.NaN]) await expect(refused({ steps })).rejects.toThrow(UsageError);
    await expect(refused({ seeds: [1, 0.5] })).rejects.toThrow(UsageError);
  });

  test('of one picture uses the defaults of the model, and no policy where none that ships fits', async () => {
    const { schedule, forwards, media, steps } = await draw({ prompt: 'lion' }, { model: pipeline });
    expect([schedule, forwards, steps.length]).toEqual(['######', 6, 6]);
    expect(media.shape).toEqual([16, 16, 3]);
  });

  test('refuses a calibrated policy of another model', async () => {
    const policy = {
      rectify: { form: 'off' as const },
      data: {
        format: 'ertacache-policy' as const,
        version: 1 as const,
        name: 'x',
        model: { id: 'other', hash: 'other', class: 'FluxTransformer2DModel' },
        scheduler: 'FlowMatchEulerDiscreteScheduler',
        guidance: 2,
        sigmas: [...job.sigmas],
        schedule: '#.##',
        site: 'velocity' as const,
        taylor: 0,
        timestep: { form: 'off' as const, phi: [] },
        rectify: { form: 'off' as const },
        search: { method: 'given' },
        calibration: { pairs: [], forwards: 0 },
        measured: {},
      },
    };
    await expect(draw({ prompt: 'lion', steps: STEPS }, { model: pipeline, policy })).rejects.toThrow(
      'for the model "other"',
    );
    const own = { ...policy, data: { ...policy.data, model: { ...policy.data.model, hash: 'toy' } } };
    expect((await draw({ prompt: 'lion', steps: STEPS }, { model: pipeline, policy: own })).schedule).toBe('#.##');
  });
});
