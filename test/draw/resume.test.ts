import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { coarseMultistep } from '../../src/cache/coarse-grid';
import { ertacache } from '../../src/cache/ertacache';
import { fewerSteps } from '../../src/cache/fewer-steps';
import { firstBlock } from '../../src/cache/first-block';
import { magcache } from '../../src/cache/magcache';
import { none } from '../../src/cache/none';
import type { CachePolicy } from '../../src/cache/policy';
import { taylorseer } from '../../src/cache/taylorseer';
import { teacache } from '../../src/cache/teacache';
import { uniform } from '../../src/cache/uniform';
import { checkpointsIn } from '../../src/draw/checkpoint-folder';
import { type Drawn, draw, runOf } from '../../src/draw/draw';
import type { Request } from '../../src/draw/request';
import { InterruptedError } from '../../src/errors';
import { dense } from '../../src/media/pixels';
import { loadModel } from '../../src/pipelines/load';
import type { CheckpointStore } from '../../src/sampling/checkpoint';
import type { Pipeline } from '../../src/sampling/pipeline';
import { scratchFolder } from '../media/pictures';
import { altered } from '../pipelines/altered';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

const scratch = scratchFolder();

/** Checkpoints in memory, one after every step unless said otherwise. */
function memoryCheckpoints(every = 1): CheckpointStore & { readonly kept: Map<string, Uint8Array> } {
  const kept = new Map<string, Uint8Array>();
  return {
    every,
    kept,
    read: async run => kept.get(run),
    write: async (run, bytes) => void kept.set(run, bytes.slice()),
    remove: async run => void kept.delete(run),
  };
}

const STEPS = 8;
const REUSED = [false, false, true, false, true, true, false, true];
/** Every method that there is, with settings at which it reuses steps of the toy and of the tiny models. */
const METHODS: Readonly<Record<string, CachePolicy>> = {
  none: none(),
  'fewer steps': fewerSteps(5),
  uniform: uniform(STEPS, 4),
  'multistep on a coarse grid': coarseMultistep(REUSED),
  'ertacache, least squares': ertacache({
    reused: REUSED,
    site: 'hidden',
    taylor: 0.5,
    timestep: { form: 'off', phi: [] },
    rectify: {
      form: 'lsq',
      steps: REUSED.map((reuse, i) =>
        i < 2
          ? null
          : reuse
            ? { 'conditional.0': 1.5, 'unconditional.0': -0.6, 'conditional.1': 0.2, 'conditional.2': -0.1 }
            : null,
      ),
    },
  }),
  'ertacache, linear': ertacache({
    reused: REUSED,
    site: 'velocity',
    timestep: { form: 'off', phi: [] },
    rectify: { form: 'linear', channelAxis: 1, steps: REUSED.map(reuse => (reuse ? { K: [0.01], B: [-2] } : null)) },
  }),
  teacache: teacache({ threshold: 0.3, coefficients: [1, 0] }),
  'first block': firstBlock({ threshold: 0.6 }),
  magcache: magcache({ threshold: 0.2, ratios: [1, 0.95, 0.96, 0.97, 0.96, 0.95, 0.94, 0.93] }),
  taylorseer: taylorseer({ interval: 3, warmUp: 2 }),
  'taylorseer, lite': taylorseer({ interval: 3, order: 2, warmUp: 2, lite: true }),
};

/** The stochastic sampler, which draws noise at every step. */
const DPM = { 'scheduler/scheduler_config.json': { _class_name: 'CogVideoXDPMScheduler' } };

/** Draws until step `last` is taken and kept, and is stopped there. */
async function stoppedAfter(last: number, request: Request, options: Parameters<typeof draw>[1]): Promise<void> {
  const stop = new AbortController();
  const onStep = ({ index }: { index: number }): void => {
    if (index === last) stop.abort();
  };
  await expect(draw(request, { ...options, onStep, signal: stop.signal })).rejects.toThrow(InterruptedError);
}

/** What of a picture is to be the same. */
const whole = ({ media, receipt, schedule, forwards }: Drawn) => ({
  bytes: Buffer.from(dense(media)).toString('base64'),
  shape: media.shape,
  receipt,
  schedule,
  forwards,
});

/** Stops the run after every one of its steps but the last, and takes it up again. */
async function resumedAtEveryStep(model: Pipeline, request: Request, policy: CachePolicy): Promise<Drawn> {
  const plain = await draw(request, { model, policy });
  const before = tf.memory().numTensors;
  for (let last = 0; last < plain.steps.length - 1; last++) {
    const checkpoint = memoryCheckpoints();
    await stoppedAfter(last, request, { model, policy, checkpoint });
    const taken: number[] = [];
    let known = 0;
    const drawn = await draw(request, {
      model,
      policy,
      checkpoint,
      onStep: ({ index }) => void taken.push(index),
      onResume: records => {
        known = records.length;
      },
    });
    expect(known).toBe(last + 1);
    expect(taken).toEqual(plain.steps.slice(last + 1).map(({ index }) => index));
    expect(whole(drawn)).toEqual(whole(plain));
    expect(drawn.steps.map(({ decisions }) => decisions)).toEqual(plain.steps.map(({ decisions }) => decisions));
    expect(drawn.steps.map(({ cacheBytes }) => cacheBytes)).toEqual(plain.steps.map(({ cacheBytes }) => cacheBytes));
  }
  expect(tf.memory().numTensors).toBe(before);
  return plain;
}

describeOnBackends('a run that is taken up in the middle', () => {
  test.each(Object.entries(METHODS))('at every step, to the same bytes: %s', async (name, policy) => {
    const model = toyPipeline();
    const request = { prompt: 'red heart', seed: 3, steps: STEPS };
    const { schedule } = await resumedAtEveryStep(model, request, policy);
    if (!/none|fewer|multistep/.test(name)) expect(schedule).toContain('.');
    model.dispose();
  });

  test.each([
    ['cogvideox-tiny', { width: 32, height: 16, frames: 9 }, DPM],
    ['wan-tiny', { width: 32, height: 16, frames: 5 }, {}],
    ['flux-tiny', { width: 32, height: 16 }, {}],
  ] as const)('with the sampler and the noise of %s', async (name, size, changes) => {
    const model = await loadModel(altered(name, changes));
    const policy = teacache({ threshold: 0.3, coefficients: [1, 0] });
    await resumedAtEveryStep(model, { prompt: 'a small boat', seed: 11, steps: 4, size }, policy);
    model.dispose();
  });

  test('nothing of another run is taken up: other settings, a damaged file, another form', async () => {
    const model = toyPipeline();
    const request = { prompt: 'red heart', seed: 3, steps: STEPS, policy: 'none' };
    const plain = await draw(request, { model });
    const checkpoint = memoryCheckpoints();
    await stoppedAfter(4, request, { model, checkpoint });
    const run = await runOf(request, { model });
    expect([...checkpoint.kept.keys()]).toEqual([run]);
    const bytes = checkpoint.kept.get(run) as Uint8Array;
    const others = [{ seed: 4 }, { steps: 7 }, { guidance: 3 }, { prompt: 'lion' }, { negativePrompt: 'key' }];
    const ids = await Promise.all(others.map(other => runOf({ ...request, ...other }, { model })));
    expect(new Set([run, ...ids]).size).toBe(others.length + 1);
    expect(await runOf({ ...request }, { model: toyPipeline({ hash: 'another' }) })).not.toBe(run);

    const told = jest.spyOn(console, 'warn').mockImplementation(() => {});
    const flipped = bytes.slice();
    flipped[flipped.length - 5]! ^= 1;
    const before = tf.memory().numTensors;
    for (const damaged of [flipped, bytes.slice(0, -1), new Uint8Array(0), Buffer.from('no checkpoint')]) {
      checkpoint.kept.set(run, damaged);
      const records: number[] = [];
      const drawn = await draw(request, { model, checkpoint, onStep: ({ index }) => void records.push(index) });
      expect(records).toHaveLength(STEPS);
      expect(whole(drawn)).toEqual(whole(plain));
    }
    expect(tf.memory().numTensors).toBe(before);
    expect(told).toHaveBeenCalledWith('A checkpoint is damaged, or of another run: this run begins anew.');
    told.mockRestore();
    model.dispose();
  });

  test('previews keep their numbers, and the time of the steps before counts', async () => {
    const model = toyPipeline();
    const request = { prompt: 'red heart', seed: 3, steps: STEPS, policy: 'none' };
    const checkpoint = memoryCheckpoints();
    const shown: number[] = [];
    const previews = { count: 3, show: (_: unknown, index: number) => void shown.push(index) };
    await stoppedAfter(3, request, { model, checkpoint, previews });
    expect(shown).toEqual([0, 1]);
    const { steps, seconds } = await draw(request, { model, checkpoint, previews });
    expect(shown).toEqual([0, 1, 2]);
    expect(seconds).toBeGreaterThanOrEqual(steps.reduce((sum, step) => sum + step.seconds, 0));
    model.dispose();
  });

  test('a method whose state nobody can tell is refused before the first step', async () => {
    const model = toyPipeline();
    const before = tf.memory().numTensors;
    const policy: CachePolicy = {
      name: 'secretive',
      begin: () => ({
        branch: () => ({
          evaluate: async (_, evaluation) => ({ output: await evaluation.compute(), decision: 'compute' }),
          bytes: () => 0,
          dispose() {},
        }),
        dispose() {},
      }),
    };
    const onStep = jest.fn();
    await expect(draw({ prompt: 'lion' }, { model, policy, checkpoint: memoryCheckpoints(), onStep })).rejects.toThrow(
      'Runs with the method "secretive" cannot be taken up in the middle.',
    );
    expect(onStep).not.toHaveBeenCalled();
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  test('a folder of checkpoints holds one file a run, every few steps, until it is removed', async () => {
    const model = toyPipeline();
    const folder = scratch.path('unfinished');
    const checkpoint = checkpointsIn({ folder, every: 3 });
    const request = { prompt: 'red heart', seed: 3, steps: STEPS, policy: 'none' };
    await stoppedAfter(1, request, { model, checkpoint });
    await stoppedAfter(4, request, { model, checkpoint });
    const run = await runOf(request, { model });
    const file = `${run}.checkpoint.safetensors`;
    expect(readdirSync(folder)).toEqual([file]);
    writeFileSync(scratch.path('copy'), readFileSync(join(folder, file)));
    let known = 0;
    const drawn = await draw(request, {
      model,
      checkpoint,
      onResume: records => {
        known = records.length;
      },
    });
    expect(known).toBe(3);
    expect(drawn.run).toBe(run);
    expect(whole(drawn)).toEqual(whole(await draw(request, { model })));
    await drawn.forget();
    await drawn.forget();
    expect(readdirSync(folder)).toEqual([]);
    model.dispose();
  });
});
