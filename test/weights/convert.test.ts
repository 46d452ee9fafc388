import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import { contentHash } from '../../src/weights/content-hash';
import { type ConvertOptions, convertModel } from '../../src/weights/convert';
import { openModelAt } from '../../src/weights/disk';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { parseManifest } from '../../src/weights/manifest';
import { componentOf, readModelJson } from '../../src/weights/open-model';
import { describeOnBackends } from '../support/backends';
import { command } from './command';

const checkpoints = join(__dirname, '../fixtures/checkpoints');
const sharded = join(checkpoints, 'sharded-fp32/transformer');
const good = join(__dirname, '../fixtures/bad/good');
const options: ConvertOptions = { dtype: 'float16', tableOf: () => undefined, unchecked: true, shardBytes: 10_000 };

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ertacache-convert-'));
});
afterEach(() => rm(scratch, { recursive: true }));

/** Every file of a folder and its bytes. */
function contents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  const paths = files.map(entry => join(entry.parentPath, entry.name)).sort();
  return new Map(paths.map(path => [path.slice(folder.length), readFileSync(path, 'base64')]));
}

/** A model folder of an unknown class, with these tensors. */
async function modelFolder(name: string, tensors: Record<string, TensorToWrite>): Promise<string> {
  const folder = join(scratch, name);
  await mkdir(folder);
  await writeFile(join(folder, 'config.json'), '{"_class_name": "Some"}');
  await writeFile(join(folder, 'model.safetensors'), encodeSafetensors(new Map(Object.entries(tensors))));
  return folder;
}

const f32 = (shape: number[], data: Float32Array): TensorToWrite => ({ dtype: 'F32', shape, data });
const ramp = (size: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(i) * 3);

describeOnBackends('converting', () => {
  test.each(['float32', 'float16', 'uint8'] as const)("tfjs's own decoder reads %s as ertacache does", async dtype => {
    const source = await modelFolder('source', {
      matrix: f32([40, 50], ramp(2000)),
      bias: f32([50], ramp(50)),
      ids: { dtype: 'I64', shape: [3], data: BigInt64Array.of(1n, -2n, 3n) },
      mask: { dtype: 'BOOL', shape: [2], data: Uint8Array.of(1, 0) },
      scalar: f32([], Float32Array.of(0.1)),
      none: f32([0, 4], new Float32Array(0)),
    });
    const out = join(scratch, 'out');
    await convertModel(source, out, { ...options, dtype, shardBytes: 1000 });
    const json = JSON.parse(readFileSync(join(out, 'model.json'), 'utf8')) as tf.io.ModelJSON;
    const specs = tf.io.getWeightSpecs(json.weightsManifest);
    const buffers = json.weightsManifest[0]!.paths.map(path => Uint8Array.from(readFileSync(join(out, path))).buffer);
    expect(buffers.length).toBeGreaterThan(2);
    const artifacts = await tf.io.getModelArtifactsForJSON(json, async () => [specs, buffers]);
    const decoded = tf.io.decodeWeights(artifacts.weightData!, artifacts.weightSpecs!);

    const model = await openModelAt(out);
    const { source: stored } = componentOf(model, 'transformer');
    for (const name of stored.names) {
      const tensor = decoded[`model/${name}`]!;
      expect(tensor.shape).toEqual(stored.entry(name).shape);
      expect(Float32Array.from(await tensor.data())).toEqual(await stored.read(name));
    }
    const half = { float32: 0, float16: 3 * 2 ** -11, uint8: 6.001 / 255 / 2 + 6 / 255 / 2 }[dtype];
    const matrix = await stored.read('matrix');
    expect(Math.max(...ramp(2000).map((value, i) => Math.abs(value - matrix[i]!)))).toBeLessThanOrEqual(half);
    expect(matrix[0]).toBe(0);
    if (dtype !== 'float16') expect(await stored.read('bias')).toEqual(ramp(50));
    expect([...(await stored.readInts('ids'))]).toEqual([1, -2, 3]);
    tf.dispose(decoded);
    await model.close();
  });
}, ['wasm']);

test('the same tensors give the same bytes, from shards or one file', async () => {
  const outs = ['a', 'b', 'c'].map(name => join(scratch, name));
  await convertModel(sharded, outs[0]!, options);
  await convertModel(sharded, outs[1]!, options);
  await convertModel(join(checkpoints, 'single-fp32/transformer'), outs[2]!, options);
  const [a, b, c] = outs.map(contents);
  expect(a!.size).toBe(6);
  expect(b).toEqual(a);
  expect(c).toEqual(a);
});

test('a float16 checkpoint comes through float16 bit by bit, and keeps its identity', async () => {
  const source = join(checkpoints, 'fp16/transformer');
  await convertModel(source, join(scratch, 'out'), options);
  await convertModel(join(scratch, 'out'), join(scratch, 'again'), { ...options, shardBytes: 1_000_000 });
  const [before, after, again] = await Promise.all(
    [source, join(scratch, 'out'), join(scratch, 'again')].map(p => openModelAt(p)),
  );
  for (const name of before!.components.get('model')!.source.names) {
    const raw = await componentOf(before!, 'model').source.readRaw(name);
    expect(await componentOf(after!, 'model').source.readRaw(name)).toEqual(raw);
    expect(await componentOf(again!, 'model').source.readRaw(name)).toEqual(raw);
  }
  const hashes = await Promise.all([before!, after!, again!].map(model => contentHash(componentOf(model, 'model'))));
  expect(new Set(hashes).size).toBe(1);
  await before!.close();
});

test('what float16 cannot hold stays float32; a constant matrix keeps its value in uint8', async () => {
  const source = await modelFolder('source', {
    large: f32([2], Float32Array.of(1, 70_000)),
    constant: f32([16, 16], new Float32Array(256).fill(0.3)),
    rows: f32([1, 6, 64], ramp(384)),
  });
  await convertModel(source, join(scratch, 'half'), options);
  await convertModel(source, join(scratch, 'byte'), { ...options, dtype: 'uint8' });
  const [half, byte] = await Promise.all(['half', 'byte'].map(async name => openModelAt(join(scratch, name))));
  const [halves, bytes] = [componentOf(half!, 'model').source, componentOf(byte!, 'model').source];
  expect([...(await halves.read('large'))]).toEqual([1, 70_000]);
  expect((await bytes.read('constant'))[17]).toBe(Math.fround(0.3));
  expect(await bytes.read('rows')).toEqual(ramp(384));
  expect(['large', 'constant', 'rows'].map(name => bytes.entry(name).dtype)).toEqual(['F32', 'Q8', 'F32']);
});

test('a pipeline is converted whole: its models, its word table and its small files', async () => {
  const source = join(scratch, 'pipeline');
  await cp(good, join(source, 'transformer'), { recursive: true });
  await mkdir(join(source, 'text'));
  await writeFile(join(source, 'pipeline.json'), '{"image_size": 8}');
  await writeFile(join(source, 'secrets.json'), '{}');
  await writeFile(join(source, 'text/vocab.json'), '{"<pad>": 0, "red": 1}');
  const rows = { 'embeddings.weight': f32([2, 3], ramp(6)) };
  await writeFile(join(source, 'text/embeddings.safetensors'), encodeSafetensors(new Map(Object.entries(rows))));
  const out = join(scratch, 'deep/er/out');
  const done = await command('convert', source, out);
  expect(done).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringContaining('3 tensors, 22 values, 44 bytes of float16 in 1 shard'),
  });

  expect([...contents(out).keys()]).toEqual([
    '/group1-shard1of1.bin',
    '/model.json',
    '/pipeline.json',
    '/text/vocab.json',
  ]);
  const model = await openModelAt(out);
  expect([...model.components.keys()]).toEqual(['text', 'transformer']);
  expect(componentOf(model, 'text').config).toMatchObject({ vocab_size: 2, embedding_dim: 3 });
  expect(await readModelJson(model, 'text/vocab.json')).toEqual({ '<pad>': 0, red: 1 });
  await expect(readModelJson(model, 'secrets.json')).rejects.toThrow('holds no secrets.json');
  const info = await command('info', out);
  expect(info).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('together: 22 parameters') });

  await writeFile(join(source, 'text/vocab.json'), '{"<pad>": 0}');
  expect(await command('info', source)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('embeddings.weight in'),
  });
});

test('a single weight file is converted with a config given apart', async () => {
  const weights = join(scratch, 'w.safetensors');
  await cp(join(good, 'diffusion_pytorch_model.safetensors'), weights);
  const refused = await command('convert', weights, join(scratch, 'out'));
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('config.json') });
  const config = join(good, 'config.json');
  expect(await command('convert', weights, join(scratch, 'out'), '--config', config)).toMatchObject({ code: 0 });
});

describe('a converted model that was damaged is refused', () => {
  const shard = 'group1-shard2of5.bin';
  async function opened(damage: (folder: string) => Promise<void>): Promise<unknown> {
    const out = join(scratch, 'out');
    await convertModel(sharded, out, options);
    await damage(out);
    const read = async () => {
      const { source } = componentOf(await openModelAt(out), 'model');
      for (const name of source.names) await source.read(name);
    };
    return read().catch((error: unknown) => error);
  }

  test.each<[string, string, string, (folder: string) => Promise<void>]>([
    ['a cut shard', 'truncated_data', shard, folder => truncate(join(folder, shard), 9000)],
    ['a changed byte', 'truncated_data', shard, folder => flip(join(folder, shard), 100)],
    ['a shard gone', 'missing_shard', shard, folder => rm(join(folder, shard))],
    ['broken JSON', 'index_json', 'model.json', folder => writeFile(join(folder, 'model.json'), '{')],
    [
      'JSON of another tool',
      'index_json',
      'model.json',
      folder => writeFile(join(folder, 'model.json'), '{"format":"layers-model"}'),
    ],
    ['a shard elsewhere', 'unsafe_path', '../x', folder => edit(folder, text => text.replaceAll(shard, '../x'))],
    [
      'a false size',
      'index_json',
      'bytes',
      folder => edit(folder, text => text.replace('"shape": [\n', '"shape": [\n2,')),
    ],
    [
      'a stray tensor',
      'index_json',
      'other/',
      folder => edit(folder, text => text.replace('"name": "model/', '"name": "other/')),
    ],
  ])('%s', async (_, fault, mention, damage) => {
    expect(await opened(damage)).toMatchObject({ fault, message: expect.stringContaining(mention) });
  });

  test('nothing', async () => expect(await opened(async () => {})).toBeUndefined());

  async function flip(path: string, at: number): Promise<void> {
    const bytes = await readFile(path);
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  }
  async function edit(folder: string, change: (text: string) => string): Promise<void> {
    const path = join(folder, 'model.json');
    const text = readFileSync(path, 'utf8');
    expect(change(text)).not.toBe(text);
    writeFileSync(path, change(text));
  }
});

describe('the folder to write', () => {
  test('what is there is not replaced unasked, nor anything but a converted model', async () => {
    const out = join(scratch, 'out');
    await mkdir(out);
    await convertModel(good, out, options);
    await writeFile(join(out, 'NOTES.md'), 'mine');
    await expect(convertModel(sharded, out, options)).rejects.toThrow('is not empty');
    await convertModel(sharded, out, { ...options, force: true });
    expect([...contents(out).keys()].filter(path => !path.includes('shard'))).toEqual(['/NOTES.md', '/model.json']);
    expect(parseManifest(readFileSync(join(out, 'model.json'), 'utf8'), '').weights).toHaveLength(69);

    await rm(join(out, 'model.json'));
    await expect(convertModel(good, out, { ...options, force: true })).rejects.toThrow('holds no converted model');
    await expect(convertModel(good, join(out, 'NOTES.md'), options)).rejects.toThrow('is a file');
    expect(readdirSync(scratch)).toEqual(['out']);
  });

  test('the source is never overwritten', async () => {
    const source = join(scratch, 'source');
    await convertModel(good, source, options);
    const before = contents(source);
    for (const out of [source, scratch]) {
      await expect(convertModel(source, out, { ...options, force: true })).rejects.toThrow('that is to be converted');
    }
    expect(contents(source)).toEqual(before);
  });

  test('nothing stays of a conversion that fails or is interrupted', async () => {
    const nan = await modelFolder('nan', { a: f32([2], ramp(2)), b: f32([2], Float32Array.of(1, Number.NaN)) });
    const out = join(scratch, 'new/out');
    await expect(convertModel(nan, out, options)).rejects.toMatchObject({ fault: 'non_finite' });
    const big = await modelFolder('ids', { ids: { dtype: 'I64', shape: [1], data: BigInt64Array.of(2n ** 40n) } });
    await expect(convertModel(big, out, options)).rejects.toThrow('ids holds the integer 1099511627776');
    expect(existsSync(join(scratch, 'new'))).toBe(false);

    const stop = new AbortController();
    const onProgress = (share: number) => {
      if (share > 0.7) stop.abort();
    };
    const interrupted = convertModel(sharded, out, { ...options, signal: stop.signal, onProgress });
    await expect(interrupted).rejects.toMatchObject({ code: 'interrupted' });
    expect(existsSync(join(scratch, 'new'))).toBe(false);
  });

  test('an interrupted command leaves nothing and exits with 130', async () => {
    const out = join(scratch, 'out');
    const running = command('convert', sharded, out, '--unchecked');
    // The command is loaded when it is called.
    while (process.listenerCount('SIGINT') === 0) await setImmediate();
    process.emit('SIGINT');
    expect(await running).toMatchObject({ code: 130, stderr: expect.stringContaining('nothing was written') });
    expect(readdirSync(scratch)).toEqual([]);
    expect(process.listenerCount('SIGINT')).toBe(0);
  });

  test('a command line that makes no sense exits with 2', async () => {
    expect((await command('convert', good, join(scratch, 'out'), '--dtype', 'int4')).code).toBe(2);
    expect((await command('convert', good, join(scratch, 'out'), '--shard-bytes', '0')).code).toBe(2);
    expect((await command('convert', join(scratch, 'nothing'), join(scratch, 'out'))).code).toBe(1);
  });
});
