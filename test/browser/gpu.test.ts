import { requireBuilt } from '../library/built-package';
import { describeInBrowser } from '../support/chromium';
import { until } from '../support/until';
import { openTab } from './tab';

beforeAll(requireBuilt);

/** A worker whose GPU is lost when the page says so. */
const LOSSY = {
  '/lib/lossy.mjs': "import './lossy-gpu.mjs';\nimport './worker.mjs';",
  '/lib/lossy-gpu.mjs': `
    const contexts = [];
    const { getContext } = OffscreenCanvas.prototype;
    OffscreenCanvas.prototype.getContext = function (...given) {
      const context = getContext.apply(this, given);
      if (/webgl/.test(given[0]) && context) contexts.push(context);
      return context;
    };
    new BroadcastChannel('lose').onmessage = () => {
      for (const gl of contexts) gl.getExtension('WEBGL_lose_context')?.loseContext();
    };`,
};

/** A worker whose GPU, by WebGL, seems to be a real one. */
const PROMISING = {
  '/lib/promising.mjs': "import './promising-gpu.mjs';\nimport './worker.mjs';",
  '/lib/promising-gpu.mjs': `
    Object.defineProperty(navigator, 'gpu', { value: undefined });
    const { getParameter } = WebGL2RenderingContext.prototype;
    WebGL2RenderingContext.prototype.getParameter = function (name) {
      return name === 0x9246 ? 'A real GPU' : getParameter.call(this, name);
    };`,
};

/** The mean difference of two pictures, 0 … 1. */
const difference = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;

describeInBrowser('a GPU, played by the processor', () => {
  test.each(['webgl', 'webgpu'] as const)(
    'draws by %s what WebAssembly draws',
    async kind => {
      const tab = await openTab();
      const drawn = await tab.page.evaluate(async kind => {
        const all = [];
        for (const backend of ['wasm', kind] as const) {
          const client = erta.createClient({
            worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
            backend,
          });
          await client.load('/models/fluent-emoji');
          const { media, receipt } = await client.draw({ prompt: 'red heart', seed: 1, steps: 1, guidance: 1 });
          all.push({ values: [...(media.data as Float32Array)], backend: receipt.backend, kind: client.backend?.kind });
          client.terminate();
        }
        return all;
      }, kind);
      const [wasm, gpu] = drawn as [(typeof drawn)[0], (typeof drawn)[0]];
      expect([gpu.backend, gpu.kind]).toEqual([kind, kind]);
      expect(difference(wasm.values, gpu.values)).toBeLessThan(1e-3);
      expect(wasm.values.some(value => value < 0.9)).toBe(true);
      expect(tab.errors).toEqual([]);
      await tab.close();
    },
    240_000,
  );

  test('is not taken unasked, since it does not pay', async () => {
    const tab = await openTab();
    const found = await tab.page.evaluate(async () => {
      const client = erta.createClient({ worker: () => new Worker('/lib/worker.mjs', { type: 'module' }) });
      const { backend } = await client.load('/models/fluent-emoji');
      client.terminate();
      return { backend, detected: await erta.detect() };
    });
    expect(found.backend.kind).toBe('wasm');
    expect(found.detected).toMatchObject({ wasm: { simd: true, threads: false }, webgl: { software: true } });
    await tab.close();
  }, 60_000);

  test('whose trial is stopped is let go, and tried again with the next model', async () => {
    const tab = await openTab({ pages: PROMISING });
    const stopped = tab.page.evaluate(async () => {
      const notices: string[] = [];
      globalThis.client = erta.createClient({
        worker: () => new Worker('/lib/promising.mjs', { type: 'module' }),
        onNotice: text => notices.push(text),
      });
      const controller = new AbortController();
      addEventListener('stop', () => controller.abort('enough'), { once: true });
      const error = await client
        .load('/models/fluent-emoji', { signal: controller.signal })
        .catch((thrown: unknown) => thrown);
      const { backend } = await client.load('/models/fluent-emoji');
      const { receipt } = await client.draw({ prompt: 'red heart', steps: 2, policy: 'none' });
      client.terminate();
      return { code: (error as { code?: string }).code, notices, kind: backend.kind, drawnOn: receipt.backend };
    });
    await until(() => tab.site.sent.some(({ path }) => path === '/lib/webgl.mjs'));
    await tab.page.evaluate(() => dispatchEvent(new Event('stop')));
    expect(await stopped).toEqual({
      code: 'interrupted',
      notices: [expect.stringMatching(/^webgl is not used: /)],
      kind: 'wasm',
      drawnOn: 'wasm',
    });
    await tab.close();
  }, 240_000);

  test('that is lost gives way to WebAssembly with a word, and the picture is right', async () => {
    const tab = await openTab({ pages: LOSSY });
    const drawn = await tab.page.evaluate(async () => {
      const notices: string[] = [];
      const options = { backend: 'webgl' as const, onNotice: (text: string) => notices.push(text) };
      const client = erta.createClient({ worker: () => new Worker('/lib/lossy.mjs', { type: 'module' }), ...options });
      await client.load('/models/fluent-emoji');
      const request = { prompt: 'red heart', seed: 1, steps: 4, guidance: 1 };
      const lose = new BroadcastChannel('lose');
      let begun = 0;
      const onStep = ({ step }: { step: number }): void => {
        begun += Number(step === 1);
        if (step === 1) lose.postMessage('');
      };
      const { media, receipt } = await client.draw(request, { onStep });
      const again = await client.draw(request);
      const [a, b] = [media, again.media].map(each => each.data as Float32Array) as [Float32Array, Float32Array];
      const kind = client.backend?.kind;
      client.terminate();
      return { notices, begun, backend: receipt.backend, kind, same: a.every((value, i) => value === b[i]) };
    });
    expect(drawn).toMatchObject({ begun: 2, backend: 'wasm', kind: 'wasm', same: true });
    expect(drawn.notices).toEqual([expect.stringMatching(/^webgl failed: .*WebAssembly is used from here on\.$/)]);
    await tab.close();
  }, 120_000);

  test('that is not there gives way with a word', async () => {
    const tab = await openTab({
      pages: {
        '/lib/without.mjs': "import './without-gpu.mjs';\nimport './worker.mjs';",
        '/lib/without-gpu.mjs': 'OffscreenCanvas.prototype.getContext = () => null;',
      },
    });
    const found = await tab.page.evaluate(async () => {
      const notices: string[] = [];
      const options = { backend: 'webgl' as const, onNotice: (text: string) => notices.push(text) };
      const client = erta.createClient({
        worker: () => new Worker('/lib/without.mjs', { type: 'module' }),
        ...options,
      });
      const { backend } = await client.load('/models/fluent-emoji');
      client.terminate();
      return { kind: backend.kind, notices };
    });
    expect(found.kind).toBe('wasm');
    expect(found.notices).toEqual([expect.stringContaining('WebAssembly is used in its place.')]);
    await tab.close();
  }, 60_000);
});
