import { resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { cutSettings } from '../../src/cache/cut';
import { ertacache } from '../../src/cache/ertacache';
import { none } from '../../src/cache/none';
import { draw } from '../../src/draw/draw';
import { maxAbsError } from '../../src/lab/verify/verify';
import { dense, type Media } from '../../src/media/pixels';
import { psnr } from '../../src/metrics/psnr';
import { drawn } from '../../src/models/vae/run';
import { hubParts } from '../../src/pipelines/hub-parts';
import { loadModel } from '../../src/pipelines/load';
import { policySettings } from '../../src/policy/data';
import { defaultPolicy, policiesOnDisk } from '../../src/policy/on-disk';
import { torchGenerator } from '../../src/random/torch-generator';
import { firstStep } from '../../src/sampling/initial-picture';
import type { BatchRequest } from '../../src/sampling/pipeline';
import { runJob, runRequest } from '../../src/sampling/run-job';
import { openModelAt } from '../../src/weights/disk';
import { testImage } from '../media/pictures';
import { describeOnBackends } from '../support/backends';

const tiny = (name: string): string => resolve(__dirname, '../fixtures/pipelines', name, 'pipeline');

// int(max(n - min(n * strength, n), 0)) of diffusers' FluxImg2ImgPipeline.get_timesteps.
test.each([
  [28, 0.6, 11],
  [50, 0.6, 20],
  [30, 1, 0],
  [30, 0.01, 29],
  [4, 0.3, 2],
  [7, 0.95, 0],
])('of %i steps at strength %d the first is %i', (steps, strength, first) => {
  expect(firstStep(steps, strength)).toBe(first);
});

test.each([-0.1, 1.1, Number.NaN])('a strength of %d is refused', strength => {
  expect(() => firstStep(30, strength)).toThrow('is not between 0 and 1');
});

test('a strength that leaves no step is refused', () => {
  expect(() => firstStep(30, 0)).toThrow('A strength of 0 leaves none of 30 steps to run.');
});

describeOnBackends('a run that begins with a picture', () => {
  const request: BatchRequest = { prompts: ['red heart'], seeds: [4], steps: 30, guidance: 3 };

  test('the embedded model: weak runs keep the picture, full ones draw anew, nothing leaks', async () => {
    const pipeline = await loadModel('fluent-emoji');
    const before = tf.memory().numTensors;
    const short = { ...request, steps: 8 };
    const plain = (await runRequest(pipeline, short, none())).media[0] as Media;
    const begun = async (strength: number, prompt: string) => {
      const init = { image: plain, strength };
      return runRequest(pipeline, { ...short, prompts: [prompt], seeds: [5], init }, none());
    };
    const weak = await begun(0.125, 'lion');
    expect(weak.schedule).toBe('#');
    const whole = await begun(1, 'lion');
    const anew = await runRequest(pipeline, { ...short, prompts: ['lion'], seeds: [5] }, none());
    expect(dense(whole.media[0]!)).toEqual(dense(anew.media[0]!));
    expect(psnr(plain, weak.media[0]!)).toBeGreaterThan(psnr(plain, whole.media[0]!));
    expect(tf.memory().numTensors).toBe(before);
    pipeline.dispose();
  });

  test('a calibrated policy holds for the part of the schedule that is run', async () => {
    const pipeline = await loadModel('fluent-emoji');
    const { info } = pipeline;
    const first = (await runRequest(pipeline, { ...request, steps: 6 }, none())).media[0] as Media;
    const job = await pipeline.prepare({ ...request, prompts: ['blue heart'], init: { image: first, strength: 0.6 } });
    expect(job.base).toMatchObject({ skipped: 12 });
    expect(job.sigmas).toEqual(job.base!.sigmas.slice(12));
    const use = { model: info, scheduler: info.schedulerClass, guidance: 3, sigmas: job.base!.sigmas };
    const policy = (await defaultPolicy(use))!;
    const plain = await runJob(pipeline, job, none());
    const cached = await runJob(pipeline, job, ertacache(cutSettings(policySettings(policy), 12)));
    expect(cached.forwards).toBeLessThan(plain.forwards);
    expect(psnr(plain.media[0]!, cached.media[0]!)).toBeGreaterThan(40);
    const same = await draw(
      { prompt: 'blue heart', seed: 4 },
      { model: pipeline, init: first, policies: policiesOnDisk },
    );
    expect(dense(same.media)).toEqual(dense(cached.media[0]!));
    job.release();
    pipeline.dispose();
  });

  test("FLUX: a seed draws from the autoencoder's posterior first, then the noise", async () => {
    const picture = testImage(32, 48);
    const before = tf.memory().numTensors;
    const pipeline = await loadModel(tiny('flux-tiny'));
    const init = { image: picture, strength: 0.5 };
    const run = { prompts: ['a red fox', 'a cat'], seeds: [7, 8], steps: 6, guidance: 3.5, init, maxSequenceLength: 8 };
    const job = await pipeline.prepare(run);
    expect(job.size).toEqual({ width: 48, height: 32, frames: 1 });
    expect(job.sigmas).toEqual(job.base!.sigmas.slice(3));
    expect([...job.solver().timesteps]).toHaveLength(3);

    const model = await openModelAt(tiny('flux-tiny'));
    const parts = await hubParts(model);
    const pixels = tf.tidy(() => {
      const rows = tf.tensor4d(dense(picture), [1, 32, 48, 3]);
      return tf.sub(tf.mul(tf.transpose(rows, [0, 3, 1, 2]), 2), 1);
    });
    const posterior = await parts.encodePixels(pixels);
    const shape = posterior.mean.shape.slice(1);
    const sigma = job.sigmas[0] as number;
    for (const [row, seed] of [7, 8].entries()) {
      const wanted = tf.tidy(() => {
        const generator = torchGenerator(seed);
        const draw = () => tf.tensor(generator.normal(shape), [1, ...shape]);
        const clean = parts.geometry.normalise(drawn(posterior, draw()));
        return tf.add(tf.mul(draw(), sigma), tf.mul(clean, 1 - sigma));
      });
      const own = tf.slice(job.latents, [row, 0, 0, 0], [1, -1, -1, -1]);
      expect(maxAbsError(own.dataSync(), wanted.dataSync())).toBeLessThan(1e-5);
      tf.dispose([own, wanted]);
    }
    tf.dispose([pixels, posterior.mean, posterior.logvar]);
    job.release();

    const { media } = await runRequest(pipeline, run, none());
    expect(media.map(m => m.shape)).toEqual([
      [32, 48, 3],
      [32, 48, 3],
    ]);
    const odd = await pipeline.prepare({ ...run, init: { image: testImage(37, 50), strength: 0.5 } });
    expect(odd.size).toEqual({ width: 48, height: 32, frames: 1 });
    odd.release();
    await expect(pipeline.prepare({ ...run, init: { image: picture, strength: 0 } })).rejects.toThrow(
      'leaves none of 6',
    );
    pipeline.dispose();
    parts.dispose();
    await model.close();
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(['wan-tiny', 'cogvideox-tiny', 'opensora-tiny', 'fluent-emoji-video'])(
    '%s, which draws clips, refuses one',
    async name => {
      const pipeline = await loadModel(name.endsWith('tiny') ? tiny(name) : name);
      const init = { image: testImage(32, 32), strength: 0.5 };
      const run = { prompts: ['a'], seeds: [0], steps: 4, guidance: 3, init };
      await expect(pipeline.prepare(run)).rejects.toThrow('draws clips, and cannot begin with a picture.');
      pipeline.dispose();
    },
  );
});
