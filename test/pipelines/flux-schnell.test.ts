import * as tf from '@tensorflow/tfjs-core';
import { calibrate } from '../../src/calibration/calibrate';
import { draw } from '../../src/draw/draw';
import { maxAbsError } from '../../src/lab/verify/verify';
import { dense } from '../../src/media/pixels';
import { loadModel } from '../../src/pipelines/load';
import { inEvaluation } from '../../src/sampling/cached-run';
import { describeOnBackends } from '../support/backends';
import { altered } from './altered';
import { schnell } from './schnell';

const size = { width: 32, height: 32 };

describeOnBackends('FLUX.1-schnell', () => {
  test('draws in four even steps, of which none is shifted, by the loop of diffusers', async () => {
    const before = tf.memory().numTensors;
    const pipeline = await loadModel(await schnell());
    expect(pipeline.info.defaults).toMatchObject({ steps: 4, guidance: 0 });
    const request = { prompts: ['a red fox'], seeds: [5], steps: 4, guidance: 0, size };
    expect(pipeline.schedule(request).sigmas).toEqual([1, 0.75, 0.5, 0.25, 0]);

    const job = await pipeline.prepare(request);
    expect(job.branches).toHaveLength(1);
    let sample: tf.Tensor = job.latents.clone();
    for (const sigma of [1, 0.75, 0.5, 0.25]) {
      const step = { sample, timestep: 1000 * sigma };
      const velocity = await inEvaluation(job.branches[0]!, step, evaluation => evaluation.compute());
      const next = tf.tidy(() => tf.sub(sample, tf.mul(velocity, 0.25)));
      tf.dispose([velocity, sample]);
      sample = next;
    }
    const [expected] = await pipeline.decode(sample, job.size);
    tf.dispose(sample);
    job.release();

    const drawn = await draw({ prompt: 'a red fox', seed: 5, size, policy: 'none' }, { model: pipeline });
    expect(drawn.schedule).toBe('####');
    expect(maxAbsError(dense(drawn.media), dense(expected!))).toBeLessThan(1e-4);
    // There is nothing that guidance would be told to.
    const guided = await draw({ prompt: 'a red fox', seed: 5, size, policy: 'none', guidance: 7 }, { model: pipeline });
    expect(dense(guided.media)).toEqual(dense(drawn.media));
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('true guidance, a shift and a policy of three of four steps', async () => {
    const pipeline = await loadModel(await schnell());
    const pairs = [{ prompt: 'a red fox', seed: 1 }];
    const own = {
      ...pipeline,
      prepare: (r: Parameters<typeof pipeline.prepare>[0]) => pipeline.prepare({ ...r, size }),
    };
    const policy = await calibrate(own, { pairs, steps: 4, guidance: 0, schedule: { computed: 3 } });
    const cached = await draw({ prompt: 'a fox', size }, { model: pipeline, policy });
    expect(cached).toMatchObject({ schedule: policy.data.schedule, forwards: 3 });
    const steered = { negativePrompt: 'blur', trueCfgScale: 4, shift: 3, policy: 'none' };
    const { schedule, receipt } = await draw({ prompt: 'a fox', size, ...steered }, { model: pipeline });
    expect(schedule).toBe('####');
    expect(receipt).toMatchObject({ trueCfgScale: 4, shift: 3 });
    pipeline.dispose();
  });

  test('a transformer that is told its guidance is not taken for it', async () => {
    const folder = altered('flux-tiny', { 'transformer/config.json': { guidance_embeds: false } });
    const pipeline = await loadModel(folder);
    const drawn = draw({ prompt: 'a fox', size, steps: 1, policy: 'none' }, { model: pipeline });
    await expect(drawn).rejects.toThrow('guidance_embedder');
    pipeline.dispose();
  });
});
