import { resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { uniform } from '../../src/cache/uniform';
import { calibrate } from '../../src/calibration/calibrate';
import { measurePolicy } from '../../src/calibration/measure';
import { mayBeSteered } from '../../src/calibration/mixture';
import { draw, repeat } from '../../src/draw/draw';
import { maxAbsError } from '../../src/lab/verify/verify';
import { dense } from '../../src/media/pixels';
import { type LoadModelOptions, loadModel } from '../../src/pipelines/load';
import { atSize } from '../../src/sampling/at-size';
import { inEvaluation } from '../../src/sampling/cached-run';
import type { BatchRequest, Job, Pipeline } from '../../src/sampling/pipeline';
import { runRequest } from '../../src/sampling/run-job';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { steersByText } from '../../src/sampling/steering';
import { describeOnBackends } from '../support/backends';

const folder = (name: string): string => resolve(__dirname, '../fixtures/pipelines', name, 'pipeline');
const load = (name: string, options?: LoadModelOptions): Promise<Pipeline> => loadModel(folder(name), options);

const REQUEST: BatchRequest = {
  prompts: ['a red fox'],
  seeds: [3],
  steps: 4,
  guidance: 3.5,
  size: { width: 32, height: 32 },
};
const NEGATIVE = { negativePrompt: 'blur', trueCfgScale: 4 } as const;

/** What a job's own call predicts at a latent. */
const predicted = (job: Job, sample: tf.Tensor, timestep: number): Promise<tf.Tensor> =>
  inEvaluation(job.branches[0]!, { sample, timestep }, evaluation => evaluation.compute());

/** Final latents of a request. */
async function latentsOf(pipeline: Pipeline, request: BatchRequest): Promise<Float32Array> {
  const job = await pipeline.prepare(request);
  try {
    const { latents } = await sampleLoop({ ...job, solver: job.solver() }, none());
    const values = Float32Array.from(latents.dataSync());
    latents.dispose();
    return values;
  } finally {
    job.release();
  }
}

describeOnBackends('true guidance', () => {
  test('is u + s (c - u) of two calls that are told the same guidance', async () => {
    const before = tf.memory().numTensors;
    const pipeline = await load('flux-tiny');
    // Each call alone, as a run without true guidance makes it; the Euler steps are written out.
    const [c, u] = [
      await pipeline.prepare(REQUEST),
      await pipeline.prepare({ ...REQUEST, prompts: [NEGATIVE.negativePrompt] }),
    ];
    let sample: tf.Tensor = c.latents.clone();
    const { timesteps, sigmas } = c.solver();
    for (const [i, timestep] of timesteps.entries()) {
      const [conditional, unconditional] = [await predicted(c, sample, timestep), await predicted(u, sample, timestep)];
      const next = tf.tidy(() => {
        const velocity = tf.add(unconditional, tf.mul(NEGATIVE.trueCfgScale, tf.sub(conditional, unconditional)));
        return tf.add(sample, tf.mul(velocity, sigmas[i + 1]! - sigmas[i]!));
      });
      tf.dispose([conditional, unconditional, sample]);
      sample = next;
    }
    const expected = sample.dataSync();
    sample.dispose();
    c.release();
    u.release();
    expect(maxAbsError(await latentsOf(pipeline, { ...REQUEST, ...NEGATIVE }), expected)).toBeLessThan(1e-4);
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('acts above 1 and with a negative prompt only, which may be empty', async () => {
    const pipeline = await load('flux-tiny');
    const plain = await latentsOf(pipeline, REQUEST);
    for (const idle of [
      { trueCfgScale: 4 },
      { trueCfgScale: 1, negativePrompt: 'blur' },
      { trueCfgScale: 0, negativePrompt: 'blur' },
    ]) {
      expect(await latentsOf(pipeline, { ...REQUEST, ...idle })).toEqual(plain);
    }
    const empty = await latentsOf(pipeline, { ...REQUEST, trueCfgScale: 4, negativePrompt: '' });
    expect(maxAbsError(empty, plain)).toBeGreaterThan(1e-3);
    // Outside of its interval there is none.
    const late = { ...REQUEST, ...NEGATIVE, guidanceInterval: [0.999, 1] } as const;
    expect(maxAbsError(await latentsOf(pipeline, late), plain)).toBeLessThan(1e-6);
    pipeline.dispose();
  });

  test('caches keep the two calls apart, at every site', async () => {
    const pipeline = await load('flux-tiny');
    for (const site of ['hidden', 'output', 'velocity'] as const) {
      const { forwards, steps } = await runRequest(pipeline, { ...REQUEST, ...NEGATIVE }, uniform(4, 2, site));
      expect(forwards).toBe(2);
      expect(steps[0]!.decisions).toEqual(['compute', 'compute']);
    }
    pipeline.dispose();
  });

  test('a policy is for one strength of it, and is calibrated and measured with it', async () => {
    const plain = await load('flux-tiny');
    const pipeline = atSize(plain, { ...NEGATIVE, size: REQUEST.size });
    const pairs = [{ prompt: 'a red fox', seed: 1, negative: 'blur' }];
    const policy = await calibrate(pipeline, {
      pairs,
      steps: 4,
      guidance: 3.5,
      schedule: { reused: [false, true, false, true] },
    });
    expect(policy.data.steering).toEqual({ trueCfgScale: 4 });
    expect((await measurePolicy(pipeline, policy, pairs, { batch: 1 })).psnr.mean).toBeGreaterThan(10);
    const request = { prompt: 'a fox', steps: 4, size: REQUEST.size };
    const drawn = await draw({ ...request, ...NEGATIVE }, { model: plain, policy });
    expect(drawn.schedule).toBe('#.#.');
    await expect(draw(request, { model: plain, policy })).rejects.toThrow('without true guidance');
    await expect(draw({ ...request, ...NEGATIVE, trueCfgScale: 2 }, { model: plain, policy })).rejects.toThrow(
      'true guidance 4, and this run is with true guidance 2',
    );
    plain.dispose();
  });

  test('a receipt says how it was, and repeats it', async () => {
    const pipeline = await load('flux-tiny');
    const request = {
      prompt: 'a fox',
      steps: 3,
      size: REQUEST.size,
      ...NEGATIVE,
      guidanceInterval: [0.2, 0.9],
      shift: 2,
      policy: 'none',
    } as const;
    const { media, receipt } = await draw(request, { model: pipeline });
    expect(receipt).toMatchObject({ ...NEGATIVE, guidanceInterval: [0.2, 0.9], shift: 2 });
    const again = await repeat(JSON.parse(JSON.stringify(receipt)), { model: pipeline });
    expect(dense(again.media)).toEqual(dense(media));
    expect(again.receipt).toEqual(receipt);
    pipeline.dispose();
  });

  test('what has no use is refused by name', async () => {
    const flux = await load('flux-tiny');
    const message = 'without true guidance';
    expect(() => flux.schedule({ ...REQUEST, negativePrompt: 'blur' })).toThrow(message);
    await expect(flux.prepare({ ...REQUEST, guidanceInterval: [0, 0.5] })).rejects.toThrow(message);
    await expect(flux.prepare({ ...REQUEST, prompts2: ['a', 'b'] })).rejects.toThrow(
      '1 prompts were given 2 second texts',
    );
    flux.dispose();
    const wan = await load('wan-tiny');
    expect(() => wan.schedule({ ...REQUEST, trueCfgScale: 2 })).toThrow('guided by its guidance alone');
    for (const idle of [{ fps: 24 }, { dynamicGuidance: true }, { prompts2: ['a'] }]) {
      await expect(wan.prepare({ ...REQUEST, ...idle })).rejects.toThrow(`has no use for ${Object.keys(idle)[0]}.`);
    }
    wan.dispose();
    const openSora = await load('opensora-tiny');
    const clip = { ...REQUEST, size: { width: 32, height: 32, frames: 1 } };
    await expect(openSora.prepare({ ...clip, negativePrompt: 'blur' })).rejects.toThrow('by no negative prompt');
    (await openSora.prepare({ ...clip, negativePrompt: '' })).release();
    openSora.dispose();
  });

  test.each([
    ['opensora-tiny', 24],
    ['cogvideox-tiny', 20],
  ])('%s: another length of the prompt than its own is refused before anything is read', async (name, own) => {
    const seen: string[] = [];
    const pipeline = await load(name, { watch: result => seen.push(result) });
    const clip = { ...REQUEST, size: { width: 32, height: 32, frames: 1 } };
    const message = `reads ${own} tokens of a prompt, neither more nor fewer`;
    await expect(pipeline.prepare({ ...clip, maxSequenceLength: 12 })).rejects.toThrow(message);
    await expect(pipeline.encodePrompts!({ ...clip, maxSequenceLength: 12 })).rejects.toThrow(message);
    expect(seen).toEqual([]);
    (await pipeline.prepare({ ...clip, maxSequenceLength: own })).release();
    pipeline.dispose();
  });

  test('mixtures of prompts hold negative ones where these do something', async () => {
    const run = { steps: 4, guidance: 3.5 };
    const flux = await load('flux-tiny');
    expect(steersByText(flux, run)).toBe(false);
    expect(steersByText(atSize(flux, NEGATIVE), run)).toBe(true);
    // What the model is told of guidance does not matter to true guidance.
    expect(steersByText(flux, { ...run, guidance: 1, trueCfgScale: 4 })).toBe(true);
    expect(steersByText(flux, { ...run, trueCfgScale: 1 })).toBe(false);
    // It would turn guidance on in some pairs and not in others.
    expect(mayBeSteered(atSize(flux, { trueCfgScale: 4 }), run)).toBe(false);
    expect(mayBeSteered(atSize(flux, NEGATIVE), run)).toBe(true);
    flux.dispose();
    for (const [name, steered] of [
      ['chroma-tiny', true],
      ['wan-tiny', true],
      ['cogvideox-tiny', true],
      ['opensora-tiny', false],
    ] as const) {
      const pipeline = await load(name);
      expect([name, steersByText(pipeline, run)]).toEqual([name, steered]);
      expect([name, steersByText(pipeline, { ...run, guidance: 0.5 })]).toEqual([name, false]);
      expect(steersByText(pipeline, { ...run, guidanceInterval: [0, 1] })).toBe(steered);
      expect(steersByText(pipeline, { ...run, guidance: 1 })).toBe(false);
      pipeline.dispose();
    }
    const emoji = await loadModel('fluent-emoji');
    expect([0.5, 1, 3].map(guidance => steersByText(emoji, { ...run, guidance }))).toEqual([true, false, true]);
    emoji.dispose();
  });
});

describeOnBackends('a shift that is asked for', () => {
  test.each(['flux-tiny', 'opensora-tiny'])('%s: takes the place of the one of the model', async name => {
    const pipeline = await load(name);
    const frames = name === 'flux-tiny' ? 1 : 17;
    const request = { ...REQUEST, steps: 6, size: { width: 32, height: 32, frames } };
    const { sigmas } = pipeline.schedule({ ...request, shift: 1 });
    const { sigmas: pushed } = pipeline.schedule({ ...request, shift: 7 });
    pushed.forEach((sigma, i) => {
      expect(sigma).toBeCloseTo((7 * sigmas[i]!) / (1 + 6 * sigmas[i]!), 4);
    });
    const job = await pipeline.prepare({ ...request, shift: 7 });
    expect(job.sigmas).toEqual(pushed);
    expect(job.solver().sigmas).toEqual(pushed);
    job.release();
    pipeline.dispose();
  });

  test('is refused where times are discrete', async () => {
    const pipeline = await load('cogvideox-tiny');
    expect(() => pipeline.schedule({ ...REQUEST, size: { frames: 1 }, shift: 3 })).toThrow('which no shift moves');
    pipeline.dispose();
  });

  test('policies of another shift do not fit', async () => {
    const pipeline = await load('flux-tiny');
    const shifted = atSize(pipeline, { shift: 2, size: REQUEST.size });
    const policy = await calibrate(shifted, {
      pairs: [{ prompt: 'a red fox', seed: 1 }],
      steps: 4,
      guidance: 3.5,
      schedule: { reused: [false, true, false, true] },
    });
    const request = { prompt: 'a fox', steps: 4, size: REQUEST.size };
    expect((await draw({ ...request, shift: 2 }, { model: pipeline, policy })).schedule).toBe('#.#.');
    await expect(draw(request, { model: pipeline, policy })).rejects.toThrow('another shift');
    await expect(draw({ ...request, shift: 2.1 }, { model: pipeline, policy })).rejects.toThrow('another shift');
    pipeline.dispose();
  });
});

describeOnBackends('an interval of guidance', () => {
  test.each(['wan-tiny', 'cogvideox-tiny', 'opensora-tiny'])('%s: outside of it there is none', async name => {
    const pipeline = await load(name);
    const request = { ...REQUEST, guidance: 5, size: { width: 32, height: 32, frames: 1 } };
    const [guided, unguided] = [
      await latentsOf(pipeline, request),
      await latentsOf(pipeline, { ...request, guidance: 1 }),
    ];
    const within = (from: number, to: number): Promise<Float32Array> =>
      latentsOf(pipeline, { ...request, guidanceInterval: [from, to] });
    expect(maxAbsError(await within(0, 1), guided)).toBeLessThan(1e-5);
    expect(maxAbsError(await within(1, 1), unguided)).toBeLessThan(1e-4);
    const part = await within(0, 0.4);
    expect(maxAbsError(part, guided)).toBeGreaterThan(1e-3);
    expect(maxAbsError(part, unguided)).toBeGreaterThan(1e-3);
    expect(pipeline.schedule(request).steering).toBeUndefined();
    expect(pipeline.schedule({ ...request, guidanceInterval: [0, 0.4] }).steering).toEqual({ interval: [0, 0.4] });
    expect(pipeline.schedule({ ...request, guidance: 1, guidanceInterval: [0, 0.4] }).steering).toBeUndefined();
    pipeline.dispose();
  });

  test('the embedded model has one too', async () => {
    const pipeline = await loadModel('fluent-emoji');
    const request: BatchRequest = { prompts: ['red heart'], seeds: [3], steps: 3, guidance: 3 };
    const within = { ...request, guidanceInterval: [1, 1] } as const;
    const unguided = await latentsOf(pipeline, { ...request, guidance: 1 });
    expect(maxAbsError(await latentsOf(pipeline, within), unguided)).toBeLessThan(1e-4);
    expect(pipeline.schedule({ ...request, shift: 2 }).sigmas).not.toEqual(pipeline.schedule(request).sigmas);
    pipeline.dispose();
  });
});
