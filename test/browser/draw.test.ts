import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { draw } from '../../src/draw/on-disk';
import { run } from '../../src/engine/run';
import { selectBackend } from '../../src/engine/select';
import { packageRoot } from '../../src/io/package-root';
import { dense, toBytes } from '../../src/media/pixels';
import { readMedia } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { writeMedia } from '../../src/media/write';
import { encodeSafetensors } from '../../src/weights/encode-safetensors';
import { requireBuilt } from '../library/built-package';
import { scratchFolder } from '../media/pictures';
import { describeInBrowser } from '../support/chromium';
import { openTab, type Tab } from './tab';

/** Node and a browser compute the same digits without FMA. */
const PLAIN = { ...process.env, ERTACACHE_FUSED: 'plain' };

const scratch = scratchFolder();

/** A LoRA of rank 1 on the first attention of the 64 × 64 model. */
const LORA = encodeSafetensors(
  new Map(
    [
      ['A', [1, 192]],
      ['B', [192, 1]],
    ].map(([side, shape]) => [
      `transformer.transformer_blocks.0.attn.to_q.lora_${side}.weight`,
      { dtype: 'F32', shape: shape as number[], data: new Float32Array(192).fill(0.3) },
    ]),
  ),
);

beforeAll(requireBuilt);

/** Runs the command line on files of the scratch folder. */
async function ertacache(...args: string[]): Promise<string> {
  const cli = join(packageRoot(), 'dist/cli.mjs');
  const { code, stdout, stderr } = await run(process.execPath, [cli, ...args], { cwd: scratch.path(), env: PLAIN });
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

describeInBrowser('a page that draws', () => {
  let tab: Tab;
  beforeAll(async () => {
    tab = await openTab();
    await selectBackend('wasm', { env: PLAIN });
  });
  afterAll(async () => {
    await tab.close();
    expect(tab.errors).toEqual([]);
  });

  test.each([
    ['fluent-emoji', 'fluent-emoji-30steps-g3-15', 'red heart', '.png'],
    ['fluent-emoji-video', 'fluent-emoji-video-30steps-g2-15', 'red heart', '.webp'],
  ])(
    'gives the values of Node, bit for bit, and its file repeats there: %s',
    async (model, policy, prompt, extension) => {
      const drawn = await tab.page.evaluate(
        async ({ model, policy, prompt }) => {
          const client = erta.createClient({
            worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
            backend: 'wasm',
            kernels: 'plain',
          });
          const bytes: number[] = [];
          const loaded = await client.load(`/models/${model}`, {
            policies: [`/calibration/${policy}.json`],
            onProgress: (done, total) => bytes.push(done / total),
          });
          const steps: boolean[] = [];
          const previews: number[] = [];
          const { media, receipt, ...result } = await client.draw(
            { prompt, seed: 1 },
            { onStep: step => steps.push(step.computed), onPreview: ({ step }) => previews.push(step), previews: 10 },
          );
          const { bytes: file, extension } = await client.encode(media, { receipt, fps: loaded.fps! });
          client.terminate();
          const values = media.data as Float32Array;
          return {
            loaded,
            bytes,
            values: [...values],
            steps,
            previews,
            result,
            file: [...file],
            extension,
            read: await erta.readReceipt(file),
            receipt,
          };
        },
        { model, policy, prompt },
      );
      const here = await draw({ prompt, seed: 1, model });
      expect(Float32Array.from(drawn.values)).toEqual(dense(here.media));
      expect(drawn.result).toMatchObject({
        schedule: here.schedule,
        forwards: here.forwards,
        policy: { name: policy },
      });
      expect(drawn.steps.map(computed => (computed ? '#' : '.')).join('')).toBe(here.schedule);
      expect(drawn.previews).toEqual([10, 20]);
      expect(drawn.bytes.at(-1)).toBe(1);
      expect(drawn.bytes).toEqual([...drawn.bytes].sort((a, b) => a - b));
      expect(drawn.loaded).toMatchObject({ name: model, steps: 30, policies: [{ name: policy }] });
      expect(drawn.loaded.vocabulary).toContain('heart');

      // The receipt is Node's own, but for the path of the model that Node noted.
      expect(drawn.receipt).toEqual({ ...here.receipt, model: { ...here.receipt.model, path: model } });
      expect(drawn.read).toEqual(drawn.receipt);
      expect(drawn.extension).toBe(extension);
      const name = `page${extension}`;
      writeFileSync(scratch.path(name), Uint8Array.from(drawn.file));
      expect(await readReceipt(scratch.path(name))).toEqual(drawn.receipt);
      const read = await readMedia(scratch.path(name));
      expect(toBytes(read.pixels)).toEqual(toBytes(here.media));
      expect(await ertacache('inspect', name)).toContain(prompt);
      const again = extension === '.png' ? 'again.png' : 'again/';
      await ertacache('sample', '--from', name, '--backend', 'wasm', '--out', again);
      expect(toBytes((await readMedia(scratch.path(again))).pixels)).toEqual(toBytes(here.media));
    },
    120_000,
  );

  test('a clip becomes an MP4 file that plays, and repeats in Node', async () => {
    const made = await tab.page.evaluate(async () => {
      const worker = () => new Worker('/lib/worker.mjs', { type: 'module' });
      const client = erta.createClient({ worker, backend: 'wasm', kernels: 'plain' });
      const { fps } = await client.load('/models/fluent-emoji-video');
      const { media, receipt } = await client.draw({ prompt: 'red heart', seed: 1, steps: 4, policy: 'none' });
      const { bytes, extension, type } = await client.encode(media, { receipt, fps: fps!, format: 'mp4' });
      const still = client.encode(media.pick(0, null, null, null), { format: 'mp4' });
      const refused = await still.then(
        () => 'written',
        error => error.message,
      );
      client.terminate();
      const video = document.createElement('video');
      video.src = URL.createObjectURL(new Blob([bytes], { type }));
      video.muted = true;
      document.body.append(video);
      // What is not shown yet has no pixels.
      await video.play();
      await new Promise(resolve => video.requestVideoFrameCallback(resolve));
      const canvas = new OffscreenCanvas(64, 64);
      const context = canvas.getContext('2d')!;
      context.drawImage(video, 0, 0);
      return {
        bytes: [...bytes],
        extension,
        refused,
        receipt,
        read: await erta.readReceipt(bytes),
        has: (await erta.detect()).mp4,
        duration: video.duration,
        size: [video.videoWidth, video.videoHeight],
        seen: [...context.getImageData(0, 0, 64, 64).data],
        first: [...(media.data as Float32Array).subarray(0, 64 * 64 * 3)],
      };
    });
    expect(made).toMatchObject({ extension: '.mp4', has: true, size: [64, 64], read: made.receipt });
    expect(made.refused).toBe('An MP4 file holds a clip, and this is a picture.');
    expect(made.duration).toBeCloseTo(8 / 5, 1);
    // Colours are kept at half the resolution, so that edges blur.
    const errors = made.first.map((value, i) => Math.abs(255 * value - made.seen[4 * Math.floor(i / 3) + (i % 3)]!));
    expect(errors.reduce((sum, error) => sum + error, 0) / errors.length).toBeLessThan(12);
    const file = scratch.path('page.mp4');
    writeFileSync(file, Uint8Array.from(made.bytes));
    expect(await readReceipt(file)).toEqual(made.receipt);
    await ertacache('sample', '--from', file, '--backend', 'wasm', '--out', 'again.webp');
    const again = await readMedia(scratch.path('again.webp'));
    expect(again.pixels.shape).toEqual([8, 64, 64, 3]);
  }, 120_000);

  test('begins with a picture as Node does, and its file repeats there', async () => {
    const given = await draw({ prompt: 'lion', seed: 3, steps: 4, policy: 'none' });
    const path = scratch.path('begin.png');
    await writeMedia(path, given.media, {});
    const asked = { prompt: 'red heart', seed: 1, steps: 6, policy: 'none' };
    const here = await draw({ ...asked, init: { path, strength: 0.5 } });
    const made = await tab.page.evaluate(
      async ({ bytes, asked }) => {
        const worker = () => new Worker('/lib/worker.mjs', { type: 'module' });
        const client = erta.createClient({ worker, backend: 'wasm', kernels: 'plain' });
        await client.load('/models/fluent-emoji');
        const picture = new File([Uint8Array.from(bytes)], 'begin.png', { type: 'image/png' });
        const drawn = await client.draw({ ...asked, init: { picture, strength: 0.5 } });
        const file = await client.encode(drawn.media, { receipt: drawn.receipt });
        // Pixels do as well, of any size.
        const small = drawn.media.lo(16, 16, 0).hi(32, 32, 3);
        const other = await client.draw({ ...asked, init: { picture: small } }, { as: 'file' });
        const refused = await client.draw({ ...asked, init: { picture: new Blob(['no picture']) } }).then(
          () => 'drawn',
          error => error.message,
        );
        client.terminate();
        const { receipt, forwards } = drawn;
        const values = [...(drawn.media.data as Float32Array)];
        return { values, receipt, forwards, file: [...file.bytes], other: other.receipt.init, refused };
      },
      { bytes: [...readFileSync(path)], asked },
    );
    expect(made.forwards).toBe(here.forwards);
    expect(Float32Array.from(made.values)).toEqual(dense(here.media));
    expect(made.receipt.init).toEqual({ ...here.receipt.init, path: 'begin.png' });
    expect(made.other).toMatchObject({ path: 'picture', strength: 0.6 });
    expect(made.refused).toBe('picture is no picture that this browser can read.');
    writeFileSync(scratch.path('page.png'), Uint8Array.from(made.file));
    await ertacache('sample', '--from', 'page.png', '--backend', 'wasm', '--out', 'again.png');
    expect(toBytes((await readMedia(scratch.path('again.png'))).pixels)).toEqual(toBytes(here.media));
  }, 120_000);

  test('merges LoRAs as Node does, and names them by their files', async () => {
    const styled = scratch.path('loras');
    mkdirSync(styled, { recursive: true });
    writeFileSync(join(styled, 'style.safetensors'), LORA);
    const asked = { prompt: 'red heart', seed: 1, steps: 3, policy: 'none' };
    const here = await draw({ ...asked, loras: [{ path: join(styled, 'style.safetensors'), scale: 0.5 }] });
    const plain = await draw(asked);
    const other = await openTab({ folders: { loras: styled } });
    const made = await other.page.evaluate(async asked => {
      const worker = () => new Worker('/lib/worker.mjs', { type: 'module' });
      const client = erta.createClient({ worker, backend: 'wasm', kernels: 'plain' });
      await client.load('/models/fluent-emoji', { loras: [{ address: '/loras/style.safetensors', scale: 0.5 }] });
      const { media, receipt } = await client.draw(asked);
      const missing = await client
        .load('/models/fluent-emoji', { loras: [{ address: '/loras/none.safetensors' }] })
        .then(
          () => 'loaded',
          error => error.code,
        );
      client.terminate();
      return { values: [...(media.data as Float32Array)], receipt, missing };
    }, asked);
    await other.close();
    expect(Float32Array.from(made.values)).toEqual(dense(here.media));
    expect(Float32Array.from(made.values)).not.toEqual(dense(plain.media));
    expect(made.receipt.loras).toEqual([{ ...here.receipt.loras![0], path: 'style.safetensors' }]);
    expect(made.missing).toBe('io');
  }, 120_000);
});

describeInBrowser('an isolated page that draws', () => {
  test('with threads gives the values of one thread in Node, bit for bit', async () => {
    const tab = await openTab({ isolated: true });
    await selectBackend('wasm', { env: PLAIN });
    try {
      const drawn = await tab.page.evaluate(async () => {
        const worker = () => new Worker('/lib/worker.mjs', { type: 'module' });
        const client = erta.createClient({ worker, backend: 'wasm', kernels: 'plain', threads: 2 });
        const { backend } = await client.load('/models/fluent-emoji');
        const { media } = await client.draw({ prompt: 'red heart', seed: 1, steps: 4 });
        client.terminate();
        return { backend, values: [...(media.data as Float32Array)] };
      });
      expect(drawn.backend).toMatchObject({ label: 'wasm (SIMD, 2 threads)', threads: 2 });
      const here = await draw({ prompt: 'red heart', seed: 1, steps: 4 });
      expect(Float32Array.from(drawn.values)).toEqual(dense(here.media));
      expect(tab.errors).toEqual([]);
    } finally {
      await tab.close();
    }
  }, 120_000);

  test('tells where a model would take more threads than the first one', async () => {
    const tab = await openTab({ isolated: true });
    const notices = await tab.page.evaluate(async () => {
      const told: string[] = [];
      const worker = () => new Worker('/lib/worker.mjs', { type: 'module' });
      const client = erta.createClient({ worker, backend: 'wasm', onNotice: text => told.push(text) });
      await client.load('/models/fluent-emoji');
      // Of one whose blocks stay on the server nobody knows the size.
      await client.load('/models/fluent-emoji', { offload: true });
      client.terminate();
      return told;
    });
    await tab.close();
    expect(notices).toEqual([
      expect.stringMatching(
        /^WebAssembly runs on 1 thread since the first model was loaded, and this one would take [2-8]: load it first, or set threads\.$/,
      ),
    ]);
  }, 120_000);
});
