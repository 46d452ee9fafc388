/** What `submit` asks for is what `sample` draws: options of requests, LoRAs that travel through the store, clips. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Receipt } from '../../src/draw/receipt';
import { queueAddress } from '../../src/fleet/address';
import { openQueue } from '../../src/fleet/queue';
import { requireFileName } from '../../src/fleet/sent-files';
import type { Comparison } from '../../src/lab/compare/comparison';
import { dense } from '../../src/media/pixels';
import { readMedia } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { scratchFolder } from '../media/pictures';
import { describeWithRedis, startRedis, type TestRedis } from '../support/redis';
import { until } from '../support/until';
import { command } from '../weights/command';
import { TINY_FLUX, writeLora } from '../weights/tiny-lora';

const scratch = scratchFolder();

// Processes that load models.
jest.setTimeout(240_000);

describeWithRedis('submit', () => {
  let redis: TestRedis;
  let child: ChildProcess;
  let store: string;
  beforeAll(async () => {
    redis = await startRedis();
    store = mkdtempSync(join(tmpdir(), 'ertacache-store-'));
    const models = ['tiny', 'fluent-emoji-video'];
    const options = { queue: redis.url, place: store, models, folders: [`tiny=${TINY_FLUX}`] };
    const script = join(__dirname, '../support/fleet-worker.cjs');
    child = spawn(process.execPath, [script, JSON.stringify({ ...options, backend: 'wasm' })]);
    let told = '';
    child.stderr!.on('data', data => (told += data));
    while (!told.includes('ready')) await wait(25);
  });
  afterAll(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    await redis.stop();
    rmSync(store, { recursive: true });
  });

  /** The pictures of one prompt by the queue and by `sample`. */
  async function both(name: string, model: { far: string; near: string }, format: string, ...more: string[]) {
    const prompts = scratch.path(`${name}.txt`);
    writeFileSync(prompts, 'a fox\n');
    const out = scratch.path(name);
    const place = ['--queue', redis.url, '--store', store];
    const asked = ['--policy', 'none', ...more];
    const far = await command('submit', prompts, ...place, '--model', model.far, ...asked, '--wait', '--out', out);
    expect(far).toMatchObject({ code: 0, stdout: expect.stringContaining('1 of 1 pictures') });
    const near = scratch.path(`${name}.${format}`);
    expect(
      await command('--backend', 'wasm', 'sample', 'a fox', '--model', model.near, ...asked, '--out', near),
    ).toMatchObject({ code: 0 });
    return { far: join(out, `a-fox-0.${format}`), near };
  }
  const pixelsOf = async (file: string) => [...dense((await readMedia(file)).pixels)];
  const TINY = { far: `tiny=${TINY_FLUX}`, near: TINY_FLUX };
  const SMALL = ['--steps', '3', '--width', '32', '--height', '32'];

  test('options of a request reach the worker', async () => {
    const guided = [
      '--true-cfg-scale',
      '3',
      '--negative-prompt',
      'grey',
      '--guidance-interval',
      '0,0.7',
      '--shift',
      '2',
    ];
    const { far, near } = await both('options', TINY, 'png', ...SMALL, ...guided);
    expect(await pixelsOf(far)).toEqual(await pixelsOf(near));
    const told = (await readReceipt(far)) as Receipt;
    expect(told).toMatchObject({ trueCfgScale: 3, negativePrompt: 'grey', guidanceInterval: [0, 0.7], shift: 2 });
  });

  test('LoRAs travel through the store, and a job says which it wants', async () => {
    const file = scratch.path('lora.safetensors');
    writeLora(file, 0.5);
    const { far, near } = await both('styled', TINY, 'png', ...SMALL, '--lora', `${file}:3`);
    const { far: plain } = await both('plain', TINY, 'png', ...SMALL);
    expect(await pixelsOf(far)).toEqual(await pixelsOf(near));
    expect(await pixelsOf(far)).not.toEqual(await pixelsOf(plain));
    const { loras } = (await readReceipt(far)) as Receipt;
    expect(loras).toEqual([{ path: 'lora.safetensors', sha256: expect.stringMatching(/^[0-9a-f]{64}$/), scale: 3 }]);
    expect(existsSync(join(store, `${loras![0]!.sha256}.lora.safetensors`))).toBe(true);
    // Names come from outside.
    for (const name of ['../a.safetensors', 'a/b', '.hidden', '', 'a\0b']) {
      expect(() => requireFileName(name)).toThrow('a name that is none of a file');
    }
  });

  test('a clip is that of one machine, byte for byte', async () => {
    const model = { far: 'fluent-emoji-video', near: 'fluent-emoji-video' };
    const { far, near } = await both('clip', model, 'webp', '--steps', '3');
    expect((await readMedia(far)).pixels.shape[0]).toBe(8);
    expect(readFileSync(far)).toEqual(readFileSync(near));
    const fewer = await both('fewer', model, 'webp', '--policy', 'auto', '--speedup', '3');
    expect(await readReceipt(fewer.far)).toMatchObject({ forwards: 10 });
    expect(readFileSync(fewer.far)).toEqual(readFileSync(fewer.near));
  });

  test('one picture that cannot be had does not keep the others from being written', async () => {
    const prompts = scratch.path('two.txt');
    writeFileSync(prompts, 'a fox\na cat\n');
    const out = scratch.path('two');
    const asked = ['submit', prompts, '--queue', redis.url, '--store', store, '--model', TINY.far, ...SMALL];
    const wanted = [...asked, '--policy', 'none', '--wait', '--out', out];
    // A folder stands where a picture is to be written.
    mkdirSync(join(out, 'a-fox-0.png'), { recursive: true });
    const { code, stdout, stderr } = await command(...wanted);
    expect([code, stdout.trim()]).toEqual([1, `1 of 2 pictures in ${out}`]);
    expect(stderr).toMatch(/^a-fox-0\.png: Cannot write .*: a folder has that name\.$/m);
    expect(existsSync(join(out, 'a-cat-0.png'))).toBe(true);
    // The store was cleaned: what is gone is drawn again.
    const before = readFileSync(join(out, 'a-cat-0.png'));
    for (const name of readdirSync(store).filter(name => name.endsWith('.png'))) rmSync(join(store, name));
    rmSync(out, { recursive: true });
    expect(await command(...wanted)).toMatchObject({ code: 0, stdout: expect.stringContaining('2 of 2 pictures') });
    expect(readFileSync(join(out, 'a-cat-0.png'))).toEqual(before);
  });

  test('whoever waits for a model that no worker has is told so once', async () => {
    const prompts = scratch.path('ghost.txt');
    writeFileSync(prompts, 'a fox\n');
    const place = ['--queue', redis.url, '--store', store];
    const model = ['--model', `ghost=${TINY_FLUX}`];
    const waiting = command('submit', prompts, ...place, ...model, ...SMALL, '--wait', '--user', 'ghost');
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'any' });
    try {
      await until(async () => (await queue.counts()).get('ghost')?.waiting === 1);
      await wait(500);
      expect(await queue.cancelOf('ghost')).toBe(1);
    } finally {
      await queue.close();
    }
    const { stderr } = await waiting;
    expect(
      stderr.match(/No worker of this queue has the model "ghost" now; the jobs wait until one has/g),
    ).toHaveLength(1);
  });

  test('a user has a name that every part of a queue takes', async () => {
    for (const name of ['', 'u'.repeat(201)]) {
      const { code, stderr } = await command('submit', 'prompts.txt', '--queue', redis.url, '--user', name);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`It has ${name.length} characters`)]);
    }
  });

  /** What a command writes with the workers of the queue, and without. */
  async function written(name: string, args: readonly string[], out: string): Promise<{ far: string; near: string }> {
    const run = async (where: string, model: string, ...more: string[]): Promise<string> => {
      mkdirSync(scratch.path(where));
      const file = scratch.path(`${where}/${out}`);
      const [first = '', ...rest] = args;
      const asked = ['--backend', 'wasm', first, '--model', model, ...rest, ...more, '--out', file];
      expect(await command(...asked)).toMatchObject({ code: 0 });
      return file;
    };
    const far = await run(`${name}-far`, TINY.far, '--queue', redis.url, '--store', store);
    return { far, near: await run(`${name}-near`, TINY.near) };
  }
  const PAIRS = (): string[] => {
    const prompts = scratch.path('prompts.txt');
    writeFileSync(prompts, 'a fox\na cat\na dog\na hen\n');
    return ['--prompts', prompts, '--steps', '4', '--width', '32', '--height', '32', '--batch', '1'];
  };
  /** A LoRA with what peft says of it beside it, and another file for the transformer. */
  function weights(): string[] {
    const folder = scratch.path('peft');
    mkdirSync(folder, { recursive: true });
    writeLora(join(folder, 'adapter_model.safetensors'), 0.5);
    writeFileSync(join(folder, 'adapter_config.json'), '{"lora_alpha":3}');
    const file = join(__dirname, '../fixtures/quantized/allinone_flux/model.safetensors');
    return ['--lora', `${folder}:2`, '--transformer', file];
  }

  test('a calibration has the LoRA, the transformer and the shift of the command, and the bytes of one machine', async () => {
    const asked = ['calibrate', ...PAIRS(), '--pairs', '2', '--held-out', '1', ...weights(), '--shift', '2'];
    const { far, near } = await written('calibrated', asked, 'policy.json');
    const policy = readFileSync(far);
    expect(policy).toEqual(readFileSync(near));
    expect(JSON.parse(policy.toString()).model.loras).toHaveLength(1);
  });

  test.each(['teacache', 'magcache'])(
    'what %s needs of a model is measured by workers to the same digits',
    async method => {
      const asked = ['calibrate', ...PAIRS(), '--pairs', '2', '--method', method, ...weights()];
      const { far, near } = await written(method, asked, 'facts.json');
      expect(readFileSync(far)).toEqual(readFileSync(near));
    },
  );

  test('a comparison has the LoRA and the LPIPS weights of the command, and the figures of one machine', async () => {
    const lpips = join(__dirname, '../fixtures/metrics/lpips_alex_64x64/weights.safetensors');
    const more = ['--pairs', '2', '--calibration-pairs', '2', '--timed-pairs', '0', '--lpips', lpips];
    const methods = ['--methods', 'uniform,teacache', '--budgets', '2', '--against', 'uniform'];
    const { far, near } = await written('compared', ['compare', ...PAIRS(), ...more, ...methods, ...weights()], 'out');
    const cells = (folder: string): unknown[] => {
      const { cells } = JSON.parse(readFileSync(join(folder, 'comparison.json'), 'utf8')) as Comparison;
      return cells.map(cell => ({ ...cell, pairs: cell.pairs.map(({ seconds: _, ...pair }) => pair) }));
    };
    expect(cells(far)).toEqual(cells(near));
    expect(cells(far)).toMatchObject([{ pairs: [{ lpips: expect.any(Number) }, {}] }, {}]);
  });
});
