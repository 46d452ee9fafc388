import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { calibrate } from '../../src/calibration/calibrate';
import { splitPairs } from '../../src/calibration/pairs';
import { draw } from '../../src/draw/on-disk';
import { run } from '../../src/engine/run';
import { selectBackend } from '../../src/engine/select';
import { packageRoot } from '../../src/io/package-root';
import { dense } from '../../src/media/pixels';
import { loadModel } from '../../src/pipelines/load';
import { readPolicy } from '../../src/policy/file';
import { requireBuilt } from '../library/built-package';
import { scratchFolder } from '../media/pictures';
import { describeInBrowser } from '../support/chromium';
import { openTab, type Tab } from './tab';

/** Node and a browser compute the same digits without FMA. */
const PLAIN = { ...process.env, ERTACACHE_FUSED: 'plain' };

const scratch = scratchFolder();

beforeAll(requireBuilt);

async function ertacache(...args: string[]): Promise<string> {
  const cli = join(packageRoot(), 'dist/cli.mjs');
  const { code, stdout, stderr } = await run(process.execPath, [cli, ...args], { cwd: scratch.path(), env: PLAIN });
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

const PROMPTS = ['red heart', 'blue car', 'green apple', 'yellow star'];

describeInBrowser('a page that calibrates and compares', () => {
  let tab: Tab;
  beforeAll(async () => {
    tab = await openTab();
    await selectBackend('wasm', { env: PLAIN });
    await tab.page.evaluate(async () => {
      globalThis.client = erta.createClient({
        worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
        backend: 'wasm',
        kernels: 'plain',
      });
      await client.load('/models/fluent-emoji');
    });
  });
  afterAll(async () => {
    await tab.close();
    expect(tab.errors).toEqual([]);
  });

  test('the policy is that of Node, the command line reads it, and one from there is taken', async () => {
    const made = await tab.page.evaluate(async prompts => {
      const progress: number[] = [];
      const { policy, files } = await client.calibrate(
        { schedule: { computed: 4 }, steps: 8, guidance: 3, prompts, pairs: 2, heldOut: 1, batch: 2 },
        { onProgress: ({ done, total }) => progress.push(done / total) },
      );
      const drawn = await client.draw({ prompt: 'red heart', seed: 3, policy: policy.name });
      return {
        progress,
        policy,
        json: files.json,
        coefficients: [...(files.coefficients ?? [])],
        schedule: drawn.schedule,
        values: [...(drawn.media.data as Float32Array)],
      };
    }, PROMPTS);
    const file = scratch.path('policy.json');
    writeFileSync(file, made.json);
    writeFileSync(scratch.path(`${made.policy.name}.safetensors`), Uint8Array.from(made.coefficients));
    const read = await readPolicy(file);
    const model = await loadModel();
    const { calibration } = splitPairs(PROMPTS, 2, 1);
    const here = await calibrate(model, {
      pairs: calibration,
      steps: 8,
      guidance: 3,
      batch: 2,
      schedule: { computed: 4 },
    });
    expect(read.data.schedule).toBe(here.data.schedule);
    expect(made.policy).toMatchObject({ steps: 8, guidance: 3, forwards: 4, schedule: here.data.schedule });
    expect(read.data.measured.heldOut).toMatchObject({ pairs: 1 });
    expect(made.progress).toEqual([...made.progress].sort((a, b) => a - b));
    expect(made.progress.at(-1)).toBe(1);
    expect(await ertacache('policy', 'show', 'policy.json')).toContain(made.policy.schedule);
    // What is drawn there with the file is what the page drew.
    const drawn = await draw({ prompt: 'red heart', seed: 3, steps: 8, guidance: 3, policy: file }, { model });
    expect(Float32Array.from(made.values)).toEqual(dense(drawn.media));
    model.dispose();

    const taken = await tab.page.evaluate(
      async ({ json, coefficients }) => {
        const files = { json, coefficients: Uint8Array.from(coefficients), name: 'from the command line' };
        const { name } = await client.addPolicy(files);
        return (await client.draw({ prompt: 'red heart', seed: 3, policy: name })).schedule;
      },
      { json: made.json, coefficients: made.coefficients },
    );
    expect(taken).toBe(made.schedule);
  }, 120_000);

  test('a schedule made by hand is used, and said to be no more', async () => {
    const { receipt, policy, all, refused, again, same } = await tab.page.evaluate(async () => {
      const request = { prompt: 'red heart', seed: 3, guidance: 3 };
      const { receipt, policy, media } = await client.draw({ ...request, policy: { schedule: '##.#..##' } });
      const again = await client.repeat(receipt);
      const [a, b] = [media, again.media].map(each => each.data as Float32Array) as [Float32Array, Float32Array];
      const same = a.length > 0 && a.every((value, i) => value === b[i]);
      const all = await client.draw({ ...request, policy: { schedule: '######' } });
      const refused = await client
        .draw({ ...request, policy: { schedule: '.###' } })
        .catch((error: unknown) => error instanceof erta.UsageError);
      return { receipt, policy, all: all.receipt, refused, again: again.receipt, same };
    });
    expect(receipt).toMatchObject({ schedule: '##.#..##', steps: 8, forwards: 5, policy: { name: 'by-hand' } });
    expect(policy).toMatchObject({ name: 'by-hand', measured: {} });
    expect(again).toEqual(receipt);
    expect(same).toBe(true);
    expect(all).toMatchObject({ schedule: '######', steps: 6, forwards: 6, policy: null });
    expect(refused).toBe(true);
  });

  test('of a policy of many budgets the result names the one that was used', async () => {
    const name = 'fluent-emoji-30steps-g3-budgets';
    const files = ['json', 'safetensors'].map(end => join(packageRoot(), `calibration/${name}.${end}`));
    const drawn = await tab.page.evaluate(
      async ({ name, json, coefficients }) => {
        const policy = { name, json, coefficients: Uint8Array.from(coefficients) };
        const { receipt, ...result } = await client.draw({ prompt: 'red heart', policy, forwards: 9 });
        return { receipt, policy: result.policy!, schedule: result.schedule };
      },
      { name, json: readFileSync(files[0]!, 'utf8'), coefficients: [...readFileSync(files[1]!)] },
    );
    expect(drawn.policy).toMatchObject({
      name: `${name}-9`,
      hash: drawn.receipt.policy!.hash,
      forwards: 9,
      schedule: drawn.schedule,
    });
  });

  test('the comparison grows row by row, and the command line opens its file', async () => {
    const compared = await tab.page.evaluate(async prompts => {
      const rows: number[] = [];
      const { json } = await client.compare(
        {
          methods: ['fewer-steps', 'uniform', 'ertacache'],
          budgets: [4],
          steps: 8,
          guidance: 3,
          prompts,
          pairs: 2,
          calibrationPairs: 2,
          batch: 2,
          timedPairs: 1,
        },
        { onRow: so => rows.push(so.rows.length) },
      );
      return { json, rows };
    }, PROMPTS);
    expect(compared.rows).toEqual([1, 2, 3]);
    mkdirSync(scratch.path('compared'));
    writeFileSync(scratch.path('compared/comparison.json'), compared.json);
    writeFileSync(scratch.path('prompts.txt'), PROMPTS.join('\n'));
    const asked = ['--methods', 'fewer-steps,uniform,ertacache', '--budgets', '4', '--steps', '8', '--guidance', '3'];
    const pairs = [
      '--prompts',
      'prompts.txt',
      '--pairs',
      '2',
      '--calibration-pairs',
      '2',
      '--batch',
      '2',
      '--timed-pairs',
      '1',
    ];
    const table = await ertacache('compare', ...asked, ...pairs, '--out', 'compared', '--backend', 'wasm');
    // Nothing is measured again: the numbers are the page's.
    const { summary } = JSON.parse(compared.json) as { summary: { title: string; psnr: { mean: number } }[] };
    for (const { title, psnr } of summary) {
      expect(table).toContain(title);
      expect(table).toContain(psnr.mean.toFixed(2));
    }
    const elsewhere = await ertacache(
      'compare',
      ...asked,
      ...pairs,
      '--out',
      'measured',
      '--backend',
      'wasm',
      '--json',
    );
    const measured = JSON.parse(elsewhere) as { cells: { pairs: { psnr: number }[] }[] };
    const page = JSON.parse(compared.json) as typeof measured;
    expect(page.cells.map(c => c.pairs.map(p => p.psnr))).toEqual(measured.cells.map(c => c.pairs.map(p => p.psnr)));
  }, 180_000);
});
