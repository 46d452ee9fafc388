import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/io/package-root';
import { requireBuilt } from '../library/built-package';
import { describeInBrowser } from '../support/chromium';
import { openTab, type Tab } from './tab';

beforeAll(requireBuilt);

describeInBrowser('a client', () => {
  let tab: Tab;
  beforeAll(async () => {
    tab = await openTab();
    await tab.page.evaluate(async () => {
      globalThis.client = erta.createClient({
        worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
        backend: 'wasm',
      });
      await client.load('/models/fluent-emoji', { storage: false });
    });
  }, 60_000);
  afterAll(async () => {
    await tab.close();
    expect(tab.errors).toEqual([]);
  });

  test('draws while the page stays free, and repeats a receipt to the bit', async () => {
    const { long, same, frames } = await tab.page.evaluate(async () => {
      const long: number[] = [];
      const observer = new PerformanceObserver(list => long.push(...list.getEntries().map(task => task.duration)));
      observer.observe({ entryTypes: ['longtask'] });
      let frames = 0;
      const first = await client.draw({ prompt: 'red heart', seed: 5, steps: 8 }, { onPreview: () => frames++ });
      await new Promise(resolve => setTimeout(resolve, 100));
      observer.disconnect();
      const again = await client.repeat(first.receipt);
      const [a, b] = [first, again].map(drawn => drawn.media.data as Float32Array) as [Float32Array, Float32Array];
      return { long, frames, same: a.length > 0 && a.every((value, i) => value === b[i]) };
    });
    // The browser only lists tasks of 50 ms and more.
    expect(long).toEqual([]);
    expect(frames).toBe(7);
    expect(same).toBe(true);
  });

  test('stops within a step, with the reason that was given', async () => {
    const stopped = await tab.page.evaluate(async () => {
      const controller = new AbortController();
      let [seen, after] = [0, 0];
      const onStep = (): void => {
        if (controller.signal.aborted) after++;
        if (++seen === 2) controller.abort('enough');
      };
      const error = await client
        .draw({ prompt: 'red heart', steps: 20 }, { signal: controller.signal, onStep })
        .catch((thrown: unknown) => thrown);
      const { name, reason, code } = error as { name: string; reason: unknown; code: string };
      return { after, name, reason, code, isTyped: error instanceof erta.InterruptedError };
    });
    expect(stopped.after).toBeLessThanOrEqual(1);
    expect(stopped).toMatchObject({ name: 'AbortError', reason: 'enough', code: 'interrupted', isTyped: true });
  });

  test('queues calls, lets one take the place of others, or refuses them', async () => {
    const told = await tab.page.evaluate(async () => {
      const order: string[] = [];
      const named = (name: string, busy?: 'queue' | 'replace' | 'reject') =>
        client.draw({ prompt: name, steps: 3 }, { busy }).then(
          ({ receipt }) => order.push(receipt.prompt),
          (error: { name: string; code: string }) => order.push(`${name}: ${error.code}`),
        );
      await Promise.all([named('one'), named('two'), named('three', 'reject')]);
      await Promise.all([named('four'), named('five'), named('six', 'replace'), named('seven')]);
      return order;
    });
    expect(told).toEqual(
      ['three: usage', 'one', 'two', 'five: interrupted', 'four: interrupted', 'six', 'seven'].sort(
        (a, b) => told.indexOf(a) - told.indexOf(b),
      ),
    );
    expect(told.indexOf('six')).toBeLessThan(told.indexOf('seven'));
  });

  test('tells what is wrong in errors of the library, hints included', async () => {
    const told = await tab.page.evaluate(async () => {
      const kind = async (work: Promise<unknown>) => {
        const error = await work.then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        const classes = ['UsageError', 'PolicyError', 'IoError', 'CheckpointError'] as const;
        return [classes.find(name => error instanceof erta[name]), typeof (error as { hint?: string }).hint];
      };
      return [
        await kind(client.draw({ prompt: 'red heart', steps: 0 })),
        await kind(client.draw({ prompt: 'red heart', policy: 'nobody' })),
        await kind(client.draw({ prompt: 'red heart', model: 'nobody' })),
        await kind(client.load('/models/nobody')),
        await kind(client.addPolicy({ json: '{' })),
      ];
    });
    expect(told).toEqual([
      ['UsageError', 'string'],
      ['PolicyError', 'string'],
      ['UsageError', 'string'],
      [expect.stringMatching(/IoError|CheckpointError/), 'string'],
      ['PolicyError', 'string'],
    ]);
    // The one address that is not there.
    tab.errors.splice(0);
  });

  test('refuses a form or a kind of file that there will not be before anything is drawn', async () => {
    const told = await tab.page.evaluate(async () => {
      let steps = 0;
      const onStep = (): void => void steps++;
      const { receipt } = await client.draw({ prompt: 'red heart', steps: 2 });
      const refused = async (work: Promise<unknown>): Promise<string> => {
        const error = await work.then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        return `${(error as { code?: string })?.code}: ${(error as Error)?.message}`;
      };
      const request = { prompt: 'red heart', steps: 2 };
      const all = [
        await refused(client.draw(request, { as: 'file', format: 'mp4', onStep })),
        await refused(client.draw(request, { as: 'file', format: 'gif' as 'png', onStep })),
        await refused(client.draw(request, { as: 'picture' as 'pixels', onStep })),
        await refused(client.repeat(receipt, { as: 'file', format: 'mp4', onStep })),
      ];
      return { all, steps };
    });
    expect(told.all).toEqual([
      'usage: An MP4 file holds a clip, and this is a picture.',
      'usage: Files of the kind gif are not written: take png, webp or mp4.',
      'usage: The argument as is "picture", and must be pixels, bitmap or file.',
      'usage: An MP4 file holds a clip, and this is a picture.',
    ]);
    expect(told.steps).toBe(0);
  });

  test('refuses a receipt that is not whole, in a sentence', async () => {
    const told = await tab.page.evaluate(async () => {
      const read = await erta.readReceipt(new TextEncoder().encode('{"tool":"ertacache"}'));
      const error = await client.repeat(read).catch((thrown: unknown) => thrown);
      return [(error as { code?: string }).code, (error as Error).message];
    });
    expect(told).toEqual([
      'usage',
      expect.stringMatching(/^The receipt in the given object does not describe a run of ertacache: version: .*\.$/),
    ]);
  });

  test('tells of policies that are of another model', async () => {
    const told = await tab.page.evaluate(async () => {
      const notices: string[] = [];
      const mine = erta.createClient({
        worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
        backend: 'wasm',
        onNotice: text => notices.push(text),
      });
      const policies = ['fluent-emoji-video-30steps-g2-15', 'fluent-emoji-30steps-g3-15'].map(
        name => `/calibration/${name}.json`,
      );
      const loaded = await mine.load('/models/fluent-emoji', { policies, storage: false });
      mine.terminate();
      return { notices, loaded: loaded.policies.map(({ name }) => name) };
    });
    expect(told.loaded).toEqual(['fluent-emoji-30steps-g3-15']);
    expect(told.notices).toEqual([
      expect.stringMatching(
        /^Left out: fluent-emoji-video-30steps-g2-15\. The policy was calibrated for the model "fluent-emoji-video" \([0-9a-f]{12}\), not for "fluent-emoji" \([0-9a-f]{12}\)\.$/,
      ),
    ]);
  });

  test('hands over bitmaps and files, and shows them on a canvas', async () => {
    const shown = await tab.page.evaluate(async () => {
      const request = { prompt: 'red heart', steps: 4, scale: 2 };
      const pixels = await client.draw(request);
      const bitmap = await client.draw(request, { as: 'bitmap' });
      const file = await client.draw(request, { as: 'file' });
      const canvas = document.querySelector('canvas')!;
      const bytes = (): number[] => [...canvas.getContext('2d')!.getImageData(0, 0, 128, 128).data];
      erta.drawTo(canvas, pixels.media);
      const a = bytes();
      erta.drawTo(canvas, bitmap.media);
      const b = bytes();
      const decoded = await createImageBitmap(new Blob([file.media.bytes], { type: file.media.type }));
      erta.drawTo(canvas, [decoded]);
      const c = bytes();
      const same = (x: number[]) => x.every((value, i) => value === a[i]);
      return { size: [canvas.width, canvas.height], same: [same(b), same(c)], dark: Math.min(...a) };
    });
    expect(shown.size).toEqual([128, 128]);
    expect(shown.same).toEqual([true, true]);
    expect(shown.dark).toBeLessThan(200);
  });

  test('ends with its worker', async () => {
    const ended = await tab.page.evaluate(async () => {
      const mine = erta.createClient({ worker: () => new Worker('/lib/worker.mjs', { type: 'module' }) });
      const loading = mine
        .load('/models/fluent-emoji')
        .catch((error: unknown) => error instanceof erta.InterruptedError);
      mine.terminate();
      mine.terminate();
      const later = mine.draw({ prompt: 'x' }).catch((error: unknown) => error instanceof erta.UsageError);
      const nowhere = erta.createClient({ worker: () => new Worker('/nowhere.mjs', { type: 'module' }) });
      const missing = nowhere.load('/models/fluent-emoji').catch((error: unknown) => error instanceof erta.EngineError);
      return [await loading, await later, await missing];
    });
    expect(ended).toEqual([true, true, true]);
    tab.errors.splice(0);
  });
});

describeInBrowser('what the browser keeps of models', () => {
  test('is used without the server, checked, and removed when asked', async () => {
    const tab = await openTab();
    const visit = () =>
      tab.page.evaluate(async () => {
        const client = erta.createClient({
          worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
          backend: 'wasm',
        });
        try {
          const policies = ['/calibration/fluent-emoji-30steps-g3-15.json'];
          const model = await client.load('/models/fluent-emoji', { policies });
          return model.policies.length;
        } catch (error) {
          return (error as { code: string }).code;
        } finally {
          client.terminate();
        }
      });
    const fetched = (): string[] =>
      tab.site.sent
        .splice(0)
        .map(({ path }) => path)
        .filter(path => path.endsWith('.bin'));
    expect(await visit()).toBe(1);
    expect(fetched().length).toBeGreaterThan(1);
    expect(await visit()).toBe(1);
    expect(fetched()).toEqual([]);

    // A file that was damaged in the browser's storage is fetched again.
    await tab.page.evaluate(async () => {
      const cache = await caches.open((await caches.keys())[0]!);
      for (const key of await cache.keys()) {
        const size = (await (await cache.match(key))!.blob()).size;
        if (size > 1e6) await cache.put(key, new Response(new Uint8Array(size)));
      }
    });
    expect(await visit()).toBe(1);
    expect(fetched().length).toBeGreaterThan(1);
    expect(await visit()).toBe(1);
    expect(fetched()).toEqual([]);

    // The worker's own script comes from a server; the page's cache is another matter.
    const models = await tab.page.evaluate(async () => {
      globalThis.client = erta.createClient({
        worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
        backend: 'wasm',
      });
      return (await client.load('/models/fluent-emoji-video')).name;
    });
    expect(models).toBe('fluent-emoji-video');
    tab.site.isDown = true;
    const offline = await tab.page.evaluate(async () => {
      const { policies } = await client.load('/models/fluent-emoji', {
        policies: ['/calibration/fluent-emoji-30steps-g3-15.json'],
      });
      const { schedule } = await client.draw({ prompt: 'red heart', steps: 4, policy: 'none' });
      await client.purge();
      const purged = await client.load('/models/fluent-emoji').catch((error: { code: string }) => error.code);
      client.terminate();
      return [policies.length, schedule, purged];
    });
    expect(offline).toEqual([1, '####', 'io']);
    await tab.close();
  }, 120_000);

  test('a model that was changed on its server is refused', async () => {
    const folder = join(packageRoot(), 'converted-models/fluent-emoji');
    const bytes = Buffer.from(readFileSync(join(folder, 'text/vocab.json')));
    bytes[10] = bytes[10] === 97 ? 98 : 97;
    const tab = await openTab({ pages: { '/models/fluent-emoji/text/vocab.json': bytes.toString('latin1') } });
    const refused = await tab.page.evaluate(async () => {
      const client = erta.createClient({ worker: () => new Worker('/lib/worker.mjs', { type: 'module' }) });
      const error = await client.load('/models/fluent-emoji').catch((thrown: unknown) => thrown);
      client.terminate();
      return [error instanceof erta.CheckpointError, (error as { fault: string }).fault];
    });
    expect(refused).toEqual([true, 'truncated_data']);
    await tab.close();
  }, 60_000);
});
