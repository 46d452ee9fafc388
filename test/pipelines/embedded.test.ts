import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { calibrate } from '../../src/calibration/calibrate';
import { draw } from '../../src/draw/draw';
import { selectBackend } from '../../src/engine/select';
import { packageRoot } from '../../src/io/package-root';
import { dense, type Media } from '../../src/media/pixels';
import { psnr } from '../../src/metrics/psnr';
import { loadModel } from '../../src/pipelines/load';
import { policiesOnDisk } from '../../src/policy/on-disk';
import type { Pipeline } from '../../src/sampling/pipeline';
import { runRequest } from '../../src/sampling/run-job';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { createWordTable, wordTableConfig } from '../../src/text/word-table';
import { openModelAt } from '../../src/weights/disk';
import { readModelJson } from '../../src/weights/open-model';
import { describeOnBackends, usableBackends } from '../support/backends';
import { maxAbsDifference, readGoldenTensors } from '../support/golden';

// Recorded with the original float32 weights, two pictures of 30 steps at guidance 3. What ships is float16, so every
// tolerance here is about the rounding of weights.
const golden = readGoldenTensors(join(__dirname, '../fixtures/fluent-emoji/reference.safetensors'));
const recorded = (name: string): Float32Array => golden.get(name)!.data as Float32Array;
const SHAPE = [2, 64, 192];
const PROMPTS = ['red heart', 'zebra'];
const SEEDS = [100, 101];

/** Predicted pictures, values from -1 to 1, through six blocks of rounded weights: 2.4e-3 measured. */
const PREDICTION = 5e-3;
/** 5.7e-3 measured: the largest of 24,576 values after 30 guided steps. */
const FINAL = 1.2e-2;

const pixels = (media: Media): number[] => [...dense(media)];

describeOnBackends('the embedded model', () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await loadModel('fluent-emoji');
  });
  afterAll(() => pipeline.dispose());

  test('encodes the prompts of the golden run to its tokens', async () => {
    const files = await openModelAt(join(packageRoot(), 'converted-models/fluent-emoji'));
    const tokenizer = wordTableConfig.parse(await readModelJson(files, 'text/tokenizer_config.json'));
    const words = createWordTable(tokenizer, (await readModelJson(files, 'text/vocab.json')) as Record<string, number>);
    await files.close();
    expect(PROMPTS.flatMap(p => words.encode(p).ids)).toEqual([...golden.get('in.tokens')!.data]);
  });

  test('names the words that it does not know', async () => {
    expect(await pipeline.textLoss({ prompts: PROMPTS, guidance: 1 })).toEqual([]);
    expect(await pipeline.textLoss({ prompts: ['red zyxw heart'], guidance: 1 })).toMatchObject([
      { unknown: ['zyxw'] },
    ]);
  });

  test('draws the noise of the golden run', async () => {
    const job = await pipeline.prepare({ prompts: PROMPTS, seeds: SEEDS, steps: 30, guidance: 3 });
    expect(maxAbsDifference(job.latents.dataSync<'float32'>(), recorded('in.noise'))).toBeLessThan(1e-5);
    job.release();
  });

  test('predicts the recorded pictures, with and without the prompt, at the recorded latents', async () => {
    const before = tf.memory().numTensors;
    const job = await pipeline.prepare({ prompts: PROMPTS, seeds: SEEDS, steps: 30, guidance: 3 });
    const branch = job.branches[0]!;
    for (const index of [0, 1, 15, 29]) {
      const step = String(index).padStart(2, '0');
      const x = tf.tensor(recorded(`out.x_${step}`), SHAPE);
      const evaluation = branch.evaluate(x, job.solver().timesteps[index]!);
      const output = await evaluation.compute();
      evaluation.release();
      // The model's velocity leads away from its prediction: x - σ v.
      const pictures = tf.tidy(() => tf.sub(tf.concat([x, x]), tf.mul(output, job.sigmas[index]!)));
      const values = pictures.dataSync<'float32'>();
      const half = values.length / 2;
      expect(maxAbsDifference(values.subarray(0, half), recorded(`out.prediction_conditional_${step}`))).toBeLessThan(
        PREDICTION,
      );
      expect(maxAbsDifference(values.subarray(half), recorded(`out.prediction_unconditional_${step}`))).toBeLessThan(
        PREDICTION,
      );
      tf.dispose([x, output, pictures]);
    }
    job.release();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('samples the recorded pictures from the recorded noise', async () => {
    const job = await pipeline.prepare({ prompts: PROMPTS, seeds: SEEDS, steps: 30, guidance: 3 });
    const noise = tf.tensor(recorded('in.noise'), SHAPE);
    const { latents } = await sampleLoop({ ...job, latents: noise, solver: job.solver() }, none());
    expect(maxAbsDifference(latents.dataSync<'float32'>(), recorded('out.latent'))).toBeLessThan(FINAL);
    const drawn = Float32Array.from((await pipeline.decode(latents)).flatMap(pixels));
    // Half a grey level of the recorded picture's rounding, and what the latents differ by.
    expect(maxAbsDifference(drawn, recorded('out.image'))).toBeLessThan(0.5 / 255 + FINAL / 2);
    tf.dispose([latents, noise]);
    job.release();
  });

  test('gives the same picture for the same seed, and another one for another', async () => {
    const drawn = async (seed: number) =>
      pixels((await draw({ prompt: 'lion', seed, steps: 3, policy: 'none' }, { model: pipeline })).media);
    const first = await drawn(7);
    expect(await drawn(7)).toEqual(first);
    expect(await drawn(8)).not.toEqual(first);
  });

  test('draws two pictures in one batch as it draws them one by one', async () => {
    const request = { steps: 3, guidance: 3 };
    const both = await runRequest(pipeline, { ...request, prompts: PROMPTS, seeds: [4, 5] }, none());
    for (const [row, prompt] of PROMPTS.entries()) {
      const alone = await runRequest(pipeline, { ...request, prompts: [prompt], seeds: [4 + row] }, none());
      // Products of other shapes sum in another order: float32 rounding through three steps, pixels in [0, 1].
      expect(maxAbsDifference(pixels(both.media[row]!), pixels(alone.media[0]!))).toBeLessThan(1e-4);
    }
  });

  test('leaves no tensor behind, however often it is calibrated and sampled', async () => {
    const before = tf.memory().numTensors;
    for (let i = 0; i < 2; i++) {
      const policy = await calibrate(pipeline, {
        pairs: [{ prompt: 'lion', seed: i }],
        steps: 4,
        guidance: 3,
        schedule: { reused: [false, true, false, true] },
        rectify: 'lsq',
      });
      expect(tf.memory().numTensors).toBe(before);
      const { schedule } = await draw({ prompt: 'lion', steps: 4, guidance: 3 }, { model: pipeline, policy });
      expect(schedule).toBe('#.#.');
      expect(tf.memory().numTensors).toBe(before);
    }
  });

  test('is gone without a trace when it is disposed', async () => {
    const before = tf.memory().numTensors;
    (await loadModel('fluent-emoji')).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

const both = usableBackends().includes('native') && usableBackends().includes('wasm');
(both ? describe : describe.skip)('the embedded model on native and on wasm', () => {
  // With every step computed the golden run holds both to the same latents; here the caches have to agree as well.
  test('draws the same picture to 50 dB, with the policy that ships', async () => {
    const drawn = async (backend: 'native' | 'wasm') => {
      await selectBackend(backend);
      const pipeline = await loadModel('fluent-emoji');
      const { media, schedule } = await draw(
        { prompt: 'rocket', seed: 3 },
        { model: pipeline, policies: policiesOnDisk },
      );
      pipeline.dispose();
      return { media, schedule };
    };
    const [native, wasm] = [await drawn('native'), await drawn('wasm')];
    expect(native.schedule).toContain('.');
    expect(wasm.schedule).toBe(native.schedule);
    expect(psnr(native.media, wasm.media)).toBeGreaterThan(50);
  });
});
