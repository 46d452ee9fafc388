import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import {
  CheckpointError,
  deserializePolicy,
  draw,
  type Folder,
  httpFolder,
  type Image,
  loadPipeline,
  memoryFolder,
  openModel,
  type Pipeline,
  type Policy,
  policiesInMemory,
  UsageError,
} from '../../src/entries/core';
import { packageRoot } from '../../src/io/package-root';
import { loadModel } from '../../src/pipelines/load';
import { serveFiles } from '../io/http-server';
import { testImage } from '../media/pictures';
import { describeOnBackends } from '../support/backends';

const folder = join(packageRoot(), 'converted-models/fluent-emoji');

function filesOf(path: string): Map<string, Uint8Array> {
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  return new Map(
    files.map(entry => {
      const full = join(entry.parentPath, entry.name);
      return [relative(path, full), new Uint8Array(readFileSync(full))] as const;
    }),
  );
}

const calibration = join(packageRoot(), 'calibration');

const request = { prompts: ['red heart'], seeds: [1], steps: 4, guidance: 3 };

/** The shipped policy of the model's usual run, from bytes. */
function shippedPolicy(): Promise<Policy> {
  const json = readFileSync(join(calibration, 'fluent-emoji-30steps-g3-15.json'), 'utf8');
  return deserializePolicy(json, async name => ({
    name,
    bytes: new Uint8Array(readFileSync(join(calibration, name))),
  }));
}

async function drawn(pipeline: Pipeline): Promise<Image> {
  try {
    const policies = policiesInMemory({ shipped: await shippedPolicy() });
    const { media, schedule } = await draw({ prompt: 'red heart', seed: 1 }, { model: pipeline, policies });
    // The shipped policy serves the model that it was calibrated for.
    expect(schedule.includes('.')).toBe(pipeline.info.id === 'fluent-emoji');
    return media as Image;
  } finally {
    pipeline.dispose();
  }
}

async function fromFolder(place: Folder): Promise<Pipeline> {
  const model = await openModel(place);
  return loadPipeline(model).finally(model.close);
}

describeOnBackends('a model from anywhere', () => {
  test('in memory and on a server it draws what it draws from the disk', async () => {
    const files = filesOf(folder);
    const server = await serveFiles();
    for (const [path, bytes] of files) server.files.set(`models/fluent-emoji/${path}`, { bytes });
    const before = tf.memory().numTensors;
    try {
      const onDisk = await loadModel('fluent-emoji');
      const { info } = onDisk;
      const expected = await drawn(onDisk);
      for (const place of [memoryFolder('fluent-emoji', files), httpFolder(`${server.address}/models/fluent-emoji`)]) {
        const pipeline = await fromFolder(place);
        expect(pipeline.info).toEqual(info);
        const image = await drawn(pipeline);
        expect(image.shape).toEqual(expected.shape);
        expect(image.data).toEqual(expected.data);
        expect(tf.memory().numTensors).toBe(before);
      }
    } finally {
      await server.close();
    }
  });

  test('a hub folder in memory and on a server: every part is opened again from there', async () => {
    const tiny = join(__dirname, '../fixtures/pipelines/flux-tiny/pipeline');
    const files = filesOf(tiny);
    const server = await serveFiles();
    for (const [path, bytes] of files) server.files.set(`pipeline/${path}`, { bytes });
    const before = tf.memory().numTensors;
    try {
      const expected = await drawn(await loadModel(tiny));
      for (const place of [memoryFolder('pipeline', files), httpFolder(`${server.address}/pipeline`)]) {
        expect((await drawn(await fromFolder(place))).data).toEqual(expected.data);
        expect(tf.memory().numTensors).toBe(before);
      }
    } finally {
      await server.close();
    }
  });

  test('a picture of another size is refused, unless it is told how to resize', async () => {
    const place = memoryFolder('fluent-emoji', filesOf(folder));
    const init = { image: testImage(20, 30), strength: 0.5 };
    const pipeline = await fromFolder(place);
    const refused = await pipeline.prepare({ ...request, init }).catch((error: unknown) => error);
    pipeline.dispose();
    expect(refused).toBeInstanceOf(UsageError);
    expect((refused as UsageError).message).toMatch(/^The picture to begin with is 20x30, and (\d+)x\1 is drawn\.$/);

    const model = await openModel(place);
    const sizes: number[][] = [];
    const resize = async (_: Image, height: number, width: number) => {
      sizes.push([height, width]);
      return testImage(height, width);
    };
    const resizing = await loadPipeline(model, { resize });
    const job = await resizing.prepare({ ...request, init });
    job.release();
    resizing.dispose();
    expect(sizes).toHaveLength(1);
  });

  test('a changed shard and a missing one are refused by name', async () => {
    const files = filesOf(folder);
    const shard = 'group1-shard2of3.bin';
    const changed = files.get(shard)!.slice();
    changed[1000]! ^= 1;
    const before = tf.memory().numTensors;
    const refusal = async (other: Map<string, Uint8Array>): Promise<unknown> =>
      fromFolder(memoryFolder('m', other)).catch((error: unknown) => error);
    for (const thrown of [await refusal(new Map([...files, [shard, changed]])), await refusal(without(files, shard))]) {
      expect(thrown).toBeInstanceOf(CheckpointError);
      expect((thrown as Error).message).toContain(shard);
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});

function without(files: ReadonlyMap<string, Uint8Array>, path: string): Map<string, Uint8Array> {
  return new Map([...files].filter(([name]) => name !== path));
}
