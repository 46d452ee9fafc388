import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { packageRoot } from '../../src/io/package-root';
import { dense } from '../../src/media/pixels';
import { loadModel } from '../../src/pipelines/load';
import type { Pipeline } from '../../src/sampling/pipeline';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { createWordTable, wordTableConfig } from '../../src/text/word-table';
import { openModelAt } from '../../src/weights/disk';
import { readModelJson } from '../../src/weights/open-model';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference, readGoldenTensors } from '../support/golden';

// Recorded with the original float32 weights in PyTorch: one clip of 30 steps at guidance 2. What ships is float16, so
// the tolerances are about the rounding of weights.
const golden = readGoldenTensors(join(__dirname, '../fixtures/fluent-emoji-video/reference.safetensors'));
const recorded = (name: string): Float32Array => golden.get(name)!.data as Float32Array;
const SHAPE = [1, 3, 8, 64, 64];
/** The step whose latent and predictions are recorded. */
const STEP = 15;
const REQUEST = { prompts: ['ghost'], seeds: [7], steps: 30, guidance: 2 };

/** Noise is recorded in float16: half of its last place below 8. */
const NOISE = 2e-3;
/** Predicted clips, values from -1 to 1, through six blocks of rounded weights: 1.2e-3 measured. */
const PREDICTION = 3e-3;
/** Of 98,304 levels from 0 to 1 after 30 guided steps: the recording is rounded to 255 of them, half a level at most. */
const HALF_LEVEL = 0.5 / 255;
/** The mean, 7.8e-4 measured, and the largest, 3.2e-3 measured. */
const MEAN = 1.5e-3;
const LARGEST = HALF_LEVEL + 4e-3;

describeOnBackends('the embedded model of clips', () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await loadModel('fluent-emoji-video');
  });
  afterAll(() => pipeline.dispose());

  test('encodes the prompt of the golden run to its tokens', async () => {
    const files = await openModelAt(join(packageRoot(), 'converted-models/fluent-emoji-video'));
    const tokenizer = wordTableConfig.parse(await readModelJson(files, 'text/tokenizer_config.json'));
    const words = createWordTable(tokenizer, (await readModelJson(files, 'text/vocab.json')) as Record<string, number>);
    await files.close();
    expect(words.encode('ghost').ids).toEqual([...golden.get('tokens')!.data]);
  });

  test('predicts the recorded clips, with and without the prompt, at the recorded latent', async () => {
    const before = tf.memory().numTensors;
    const job = await pipeline.prepare(REQUEST);
    expect(maxAbsDifference(job.latents.dataSync<'float32'>(), recorded('noise'))).toBeLessThan(NOISE);
    const x = tf.tensor(recorded('x'), SHAPE);
    const evaluation = job.branches[0]!.evaluate(x, job.solver().timesteps[STEP]!);
    const output = await evaluation.compute();
    evaluation.release();
    // The model's velocity leads away from its prediction: x - σ v.
    const clips = tf.tidy(() => tf.sub(tf.concat([x, x]), tf.mul(output, job.sigmas[STEP]!)));
    const values = clips.dataSync<'float32'>();
    const half = values.length / 2;
    expect(maxAbsDifference(values.subarray(0, half), recorded('conditional'))).toBeLessThan(PREDICTION);
    expect(maxAbsDifference(values.subarray(half), recorded('unconditional'))).toBeLessThan(PREDICTION);
    tf.dispose([x, output, clips]);
    job.release();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('samples the recorded clip', async () => {
    const job = await pipeline.prepare(REQUEST);
    const { latents } = await sampleLoop({ ...job, solver: job.solver() }, none());
    const [media] = await pipeline.decode(latents);
    expect(media!.shape).toEqual([8, 64, 64, 3]);
    const drawn = dense(media!);
    // The recording is [colour, frame, row, column] in levels from 0 to 255.
    const levels = tf.tidy(() =>
      tf.transpose(tf.tensor4d(recorded('pixels'), [3, 8, 64, 64]), [1, 2, 3, 0]).dataSync<'float32'>(),
    );
    const differences = levels.map((level, i) => Math.abs(level / 255 - drawn[i]!));
    expect(differences.reduce((sum, each) => sum + each, 0) / differences.length).toBeLessThan(MEAN);
    expect(Math.max(...differences)).toBeLessThan(LARGEST);
    tf.dispose(latents);
    job.release();
  });
});
