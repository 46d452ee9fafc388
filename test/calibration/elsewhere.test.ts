import { setTimeout as wait } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import type { Evaluation, ModelParts } from '../../src/cache/evaluation';
import { firstBlock } from '../../src/cache/first-block';
import { type SiteName, site } from '../../src/cache/sites';
import { type BaselineFacts, measureBaselines } from '../../src/calibration/baselines';
import { calibrate } from '../../src/calibration/calibrate';
import { across } from '../../src/calibration/in-turn';
import { prepareJobs } from '../../src/calibration/jobs';
import { answerScores, measurePolicy } from '../../src/calibration/measure';
import { splitPairs } from '../../src/calibration/pairs';
import { referenceRun, referenceState } from '../../src/calibration/reference';
import type { State } from '../../src/nn/state';
import { torchGenerator } from '../../src/random/torch-generator';
import { elsewhere, type FarCall } from '../../src/sampling/elsewhere';
import type { BatchRequest, Job, Pipeline } from '../../src/sampling/pipeline';
import { runRequest } from '../../src/sampling/run-job';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

/**
 * A model whose calls come back in any order.
 * @param most calls after which it fails
 * @param about whether it answers questions about whole runs
 */
function far(pipeline: Pipeline, seed: number, most = Number.POSITIVE_INFINITY, about = false) {
  const random = torchGenerator(seed);
  const jobs = new Map<string, Promise<Job>>();
  let [calls, running, atOnce] = [0, 0, 0];
  const model = elsewhere(pipeline, {
    forward: ({ branches, ...point }) =>
      across(undefined, branches, branch => call({ ...point, branch }, each => each.compute()), tf.dispose),
    blocks: asked => call(asked, ({ parts }) => (parts as ModelParts).blocks((parts as ModelParts).embed())),
    decode: pipeline.decode,
    ...(about && { about: (request, question) => whole(request, question as never) }),
  });
  const asked: string[] = [];
  async function whole(
    request: BatchRequest,
    question: { kind: string; site: SiteName; policies: string; latents: tf.Tensor },
  ): Promise<State> {
    if (++calls > most) throw new Error('The other machine is gone.');
    asked.push(question.kind);
    const job = await pipeline.prepare(request);
    const { signal } = new AbortController();
    try {
      return question.kind === 'uncached'
        ? referenceState(await referenceRun(job, site(question.site)))
        : await answerScores(pipeline, job, request, question, signal);
    } finally {
      job.release();
    }
  }
  async function call<T>(
    { request, branch, timestep, sample }: FarCall,
    work: (evaluation: Evaluation) => Promise<T>,
  ): Promise<T> {
    if (++calls > most) throw new Error('The other machine is gone.');
    atOnce = Math.max(atOnce, ++running);
    await wait(8 * random.uniformFloat());
    running--;
    const key = JSON.stringify(request);
    const job = jobs.get(key) ?? pipeline.prepare(request);
    jobs.set(key, job);
    const evaluation = (await job).branches[branch]!.evaluate(sample, timestep);
    try {
      return await work(evaluation);
    } finally {
      evaluation.release();
    }
  }
  const release = async (): Promise<void> => {
    for (const job of jobs.values()) (await job).release();
  };
  return { model, atOnce: () => atOnce, asked, release };
}

const { calibration: pairs } = splitPairs(['red heart', 'blue star', 'lion', 'key'], 6, 2);
const run = { pairs, steps: 6, guidance: 2, batch: 2 } as const;

describeOnBackends('a model that runs elsewhere', () => {
  test.each([
    ['dp', { schedule: { computed: 3 } }],
    ['anneal', { schedule: { computed: 3, search: 'anneal', trials: 3 } }],
    ['hidden', { schedule: { computed: 3 }, site: 'hidden' }],
    ['walk', { schedule: { computed: 3, search: 'walk' }, site: 'output', rectify: 'linear', timestep: 'global' }],
  ] as const)('is calibrated to the same policy and figures: %s', async (_name, method) => {
    const before = tf.memory().numTensors;
    const pipeline = toyPipeline();
    const here = await calibrate(pipeline, { ...run, ...method });
    const figures = await measurePolicy(pipeline, here, pairs, { batch: 2 });
    for (const seed of [1, 2]) {
      const { model, atOnce, release } = far(pipeline, seed);
      expect(await calibrate(model, { ...run, ...method })).toEqual(here);
      expect(await measurePolicy(model, here, pairs, { batch: 2 })).toEqual(figures);
      expect(atOnce()).toBeGreaterThanOrEqual(3);
      await release();
    }
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each([
    ['dp', { schedule: { computed: 3 } }],
    ['paper', { schedule: { computed: 3, search: 'walk' }, site: 'output', rectify: 'linear' }],
  ] as const)('is asked for whole runs where it answers them, to the same figures: %s', async (_name, method) => {
    const before = tf.memory().numTensors;
    const pipeline = toyPipeline();
    const here = await calibrate(pipeline, { ...run, ...method });
    const figures = await measurePolicy(pipeline, here, pairs, { batch: 2 });
    const { model, asked, release } = far(pipeline, 1, Number.POSITIVE_INFINITY, true);
    const passes: number[] = [];
    const onProgress = (done: number): void => void passes.push(done);
    expect(await calibrate(model, { ...run, ...method, onProgress })).toEqual(here);
    expect(passes.at(-1)).toBe(here.data.calibration.forwards);
    expect(asked).toEqual(['uncached', 'uncached', 'uncached']);
    expect(await measurePolicy(model, here, pairs, { batch: 2 })).toEqual(figures);
    expect(asked.filter(kind => kind === 'scores')).toHaveLength(3);
    await release();
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('what fails ends the calibration, and nothing is left', async () => {
    const before = tf.memory().numTensors;
    const pipeline = toyPipeline();
    for (const [most, about] of [[0], [4], [20], [40], [2, true], [5, true]] as const) {
      const { model, release } = far(pipeline, 1, most, about);
      await expect(calibrate(model, { ...run, schedule: { computed: 3 } })).rejects.toThrow('other machine is gone');
      await release();
    }
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('what methods need that work inside the model is measured to the same facts', async () => {
    const pipeline = toyPipeline();
    const { model, release } = far(pipeline, 1);
    const facts = async (own: Pipeline): Promise<BaselineFacts> => {
      const jobs = await prepareJobs(own, pairs, run);
      const measured = await measureBaselines(jobs);
      for (const job of jobs) job.release();
      return measured;
    };
    expect(await facts(model)).toEqual(await facts(pipeline));
    await release();
    pipeline.dispose();
  });

  test('methods that run a part of the blocks are refused', async () => {
    const pipeline = toyPipeline();
    const { model, release } = far(pipeline, 1);
    const request = { prompts: ['lion'], seeds: [1], steps: 4, guidance: 2 };
    await expect(runRequest(model, request, firstBlock({ threshold: 0.1 }))).rejects.toThrow('runs some of the blocks');
    await release();
    pipeline.dispose();
  });
});
