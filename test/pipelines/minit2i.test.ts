import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { uniform } from '../../src/cache/uniform';
import { CheckpointError, ShapeError, UsageError } from '../../src/errors';
import { maxAbsError, verifyCase } from '../../src/lab/verify/verify';
import { loadModel } from '../../src/pipelines/load';
import { runRequest } from '../../src/sampling/run-job';
import { openModelAt } from '../../src/weights/disk';
import { describeOnBackends } from '../support/backends';

const golden = resolve(__dirname, '../fixtures/pipelines/minit2i-tiny');
const hub = join(golden, 'hub');
const repository = join(hub, 'MiniT2I/MiniT2I');
const PART = 'minit2i-b-16';
const REQUEST = { prompts: ['a red fox'], seeds: [1], steps: 4, guidance: 3 };

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ertacache-minit2i-'));
});
afterAll(() => rm(scratch, { recursive: true }));

describeOnBackends('the pipeline of MiniT2I', () => {
  test('every output of every run of the reference is checked and within its tolerance', async () => {
    const before = tf.memory().numTensors;
    const report = await verifyCase(golden);
    expect(report.comparisons.filter(c => !c.passed)).toEqual([]);
    expect(report.unchecked).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('the picture starts as twice the noise, and a prompt to steer away from changes it', async () => {
    const before = tf.memory().numTensors;
    const model = await loadModel(repository);
    expect(model.info).toMatchObject({ kind: 'image', defaults: { steps: 100, guidance: 2.5 } });
    const job = await model.prepare({ ...REQUEST, steps: 2 });
    const deviation = tf.tidy(() => tf.sqrt(tf.moments(job.latents).variance).dataSync()[0]);
    expect(deviation).toBeGreaterThan(1.8);
    expect(deviation).toBeLessThan(2.2);
    job.release();
    const [plain, steered, same] = [
      await runRequest(model, REQUEST, none()),
      await runRequest(model, { ...REQUEST, negativePrompt: 'a cat' }, none()),
      await runRequest(model, { ...REQUEST, negativePrompt: '' }, none()),
    ];
    expect(maxAbsError(plain.media[0]!.data, same.media[0]!.data)).toBe(0);
    expect(maxAbsError(plain.media[0]!.data, steered.media[0]!.data)).toBeGreaterThan(1e-4);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('rows of a batch are those of single runs, also where blocks are left on disk', async () => {
    const before = tf.memory().numTensors;
    const model = await loadModel(repository, { offload: true });
    const both = await runRequest(model, { ...REQUEST, prompts: ['a red fox', 'a cat'], seeds: [1, 2] }, none());
    const second = await runRequest(model, { ...REQUEST, prompts: ['a cat'], seeds: [2] }, none());
    expect(maxAbsError(both.media[1]!.data, second.media[0]!.data)).toBeLessThan(1e-4);
    const reused = await runRequest(model, { ...REQUEST, steps: 8 }, uniform(8, 4, 'hidden'));
    expect(reused.forwards).toBeCloseTo(4);
    await expect(model.prepare({ ...REQUEST, size: { width: 20 } })).rejects.toThrow(UsageError);
    await expect(model.prepare({ ...REQUEST, size: { width: 18 } })).rejects.toThrow(ShapeError);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('the layouts of MiniT2I', () => {
  const { HF_HUB_CACHE: cache } = process.env;
  afterEach(() => {
    if (cache === undefined) delete process.env.HF_HUB_CACHE;
    else process.env.HF_HUB_CACHE = cache;
  });
  const partsOf = async (path: string): Promise<string[]> => {
    const model = await openModelAt(path);
    try {
      return [...model.components.keys(), ...model.files];
    } finally {
      await model.close();
    }
  };
  const WHOLE = ['transformer', 'text_encoder', 'model_index.json', 'scheduler/scheduler_config.json'];

  test.each([
    ['the repository', repository],
    ['one of its models', join(repository, PART)],
  ])('%s is a whole pipeline beside that of its text encoder', async (_, path) => {
    const parts = await partsOf(path);
    expect(parts).toEqual(expect.arrayContaining([...WHOLE, 'tokenizer/tokenizer.json', 'tokenizer/spiece.model']));
    expect(parts.filter(name => name.startsWith('text_encoder/'))).toEqual([]);
  });

  test('a text encoder inside the folder is taken, under the name of its repository or its own', async () => {
    const root = join(scratch, 'inside');
    await cp(repository, root, { recursive: true });
    await cp(join(hub, 'google/flan-t5-large'), join(root, 'google/flan-t5-large'), { recursive: true });
    expect(await partsOf(root)).toEqual(expect.arrayContaining([...WHOLE, 'tokenizer/tokenizer.json']));

    const saved = join(scratch, 'saved');
    await cp(join(repository, PART), saved, { recursive: true });
    await cp(join(hub, 'google/flan-t5-large'), join(saved, 'text_encoder'), { recursive: true });
    await cp(join(hub, 'google/flan-t5-large'), join(saved, 'tokenizer'), { recursive: true });
    await mkdir(join(saved, 'scheduler'));
    const scheduler = { _class_name: 'MiniT2IFlowMatchScheduler', num_inference_steps: 7 };
    await writeFile(join(saved, 'scheduler/scheduler_config.json'), JSON.stringify(scheduler));
    const model = await openModelAt(saved);
    expect(JSON.parse(new TextDecoder().decode(await model.readFile('scheduler/scheduler_config.json')))).toEqual(
      scheduler,
    );
    await model.close();
  });

  test('a text encoder that the hub’s tools have downloaded is taken', async () => {
    const root = join(scratch, 'cached-model');
    await cp(join(repository, PART), root, { recursive: true });
    process.env.HF_HUB_CACHE = join(scratch, 'cache');
    const snapshot = join(scratch, 'cache/models--google--flan-t5-large/snapshots/0a');
    await cp(join(hub, 'google/flan-t5-large'), snapshot, { recursive: true });
    expect(await partsOf(root)).toEqual(expect.arrayContaining([...WHOLE, 'tokenizer/tokenizer.json']));
  });

  test('of two models one is asked for, and a text encoder that is nowhere is told with its repository', async () => {
    process.env.HF_HUB_CACHE = join(scratch, 'no-cache');
    const two = join(scratch, 'two');
    await cp(join(repository, PART), join(two, PART), { recursive: true });
    await cp(join(repository, PART), join(two, 'minit2i-l-16'), { recursive: true });
    await expect(openModelAt(two)).rejects.toThrow(`${two} holds minit2i-b-16 and minit2i-l-16.`);

    const model = await loadModel(join(two, PART));
    const refused = model.encodePrompts!(REQUEST);
    await expect(refused).rejects.toThrow(`${join(two, PART)} holds no text_encoder.`);
    await expect(refused).rejects.toMatchObject({ hint: expect.stringContaining('download google/flan-t5-large') });
    model.dispose();
  });

  test('a text encoder is never looked for by a name that leads elsewhere', async () => {
    const root = join(scratch, 'unsafe');
    await cp(join(repository, PART), root, { recursive: true });
    const path = join(root, 'transformer/config.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as object;
    for (const llm of ['../../etc', '/etc/passwd', 'owner/..', 7]) {
      await writeFile(path, JSON.stringify({ ...config, llm }));
      await expect(openModelAt(root)).rejects.toThrow(CheckpointError);
    }
  });
});
