import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { runArena } from '../../../src/lab/compare/arena';
import { type Asked, beginComparison } from '../../../src/lab/compare/begin';
import { type Comparison, cellOf } from '../../../src/lab/compare/comparison';
import { contenderCalled } from '../../../src/lab/compare/contenders';
import { type DiskStore, openStore } from '../../../src/lab/compare/disk-store';
import { openBench } from '../../../src/lab/compare/open-bench';
import { thisMachine } from '../../../src/lab/compare/this-machine';
import { readPolicy } from '../../../src/policy/file';
import type { Pair } from '../../../src/policy/pair';
import type { Pipeline } from '../../../src/sampling/pipeline';
import { scratchFolder } from '../../media/pictures';
import { describeOnBackends } from '../../support/backends';
import { toyPipeline } from './toy';

jest.setTimeout(240_000);

const scratch = scratchFolder();
const pairs = (prefix: string, count: number, seed: number): Pair[] =>
  Array.from({ length: count }, (_, i) => ({ prompt: `${prefix} ${i}`, seed: seed + i }));

const ASKED: Asked = {
  steps: 8,
  guidance: 1,
  picture: {},
  kind: 'methods',
  budgets: [4],
  against: 'ertacache',
  calibration: pairs('calibrated', 2, 20),
  evaluation: pairs('compared', 3, 0),
  batch: 2,
  trials: 1,
  timed: 1,
  lpips: null,
  policies: [],
};

async function open(
  pipeline: Pipeline,
  folder: string,
  methods: string[],
  changed: Partial<Asked> = {},
  force = false,
) {
  const chosen = methods.map(name => contenderCalled(name));
  const engine = { kind: 'cpu', label: 'test' };
  const asked = { ...ASKED, ...changed };
  const fresh = beginComparison(pipeline.info, chosen, asked, {
    engine,
    command: 'ertacache compare',
    ...(await thisMachine()),
  });
  const store = await openStore(folder, fresh, { force });
  return { store, chosen };
}

/** What two runs of one command share: all but clocks. */
function timeless(comparison: Comparison): unknown {
  return JSON.parse(
    JSON.stringify(comparison, (key, value) =>
      ['seconds', 'timing', 'started', 'speedup', 'summary'].includes(key) ? undefined : value,
    ),
  );
}

const fileOf = (store: DiskStore): Comparison => JSON.parse(readFileSync(store.path('comparison.json'), 'utf8'));

describeOnBackends('the arena', () => {
  let pipeline: Pipeline;
  beforeAll(() => {
    pipeline = toyPipeline();
  });
  afterAll(() => pipeline.dispose());

  test('a run that is cut continues, and ends as one that was not', async () => {
    const methods = ['fewer-steps', 'teacache', 'ertacache'];
    const before = tf.memory().numTensors;
    const whole = await open(pipeline, scratch.path('whole'), methods);
    await runArena(pipeline, whole.store, { contenders: whole.chosen });

    const cut = await open(pipeline, scratch.path('cut'), methods);
    const stop = new AbortController();
    await expect(
      runArena(pipeline, cut.store, { contenders: cut.chosen, signal: stop.signal, onCell: () => stop.abort() }),
    ).rejects.toMatchObject({ code: 'interrupted' });
    expect(fileOf(cut.store)).toMatchObject({ state: 'running', cells: [{ method: 'fewer-steps' }] });

    const again = await open(pipeline, scratch.path('cut'), methods);
    expect(again.store.continued).toBe(true);
    const ran: string[] = [];
    let planned = 0;
    await runArena(pipeline, again.store, {
      contenders: again.chosen,
      onPlan: plan => {
        planned = plan.references;
      },
      onCell: cell => ran.push(cell.method),
    });
    expect(planned).toBe(0);
    expect(ran).toEqual(['teacache', 'ertacache']);
    expect(timeless(fileOf(again.store))).toEqual(timeless(fileOf(whole.store)));
    expect(fileOf(again.store).state).toBe('complete');
    expect(existsSync(again.store.path('references'))).toBe(false);
    expect(tf.memory().numTensors).toBe(before);

    // Once complete, the same command has nothing left to run.
    const third = await open(pipeline, scratch.path('cut'), methods);
    const text = readFileSync(third.store.path('comparison.json'), 'utf8');
    await runArena(pipeline, third.store, { contenders: third.chosen, onCell: () => fail('nothing is left') });
    expect(readFileSync(third.store.path('comparison.json'), 'utf8')).toBe(text);
    expect(existsSync(third.store.path('references'))).toBe(false);
  });

  test('a folder of other files is refused, and what is not the comparison’s stays in its own', async () => {
    const foreign = scratch.path('mine', 'images', 'reference');
    mkdirSync(foreign, { recursive: true });
    writeFileSync(join(foreign, 'holiday.png'), 'mine');
    for (const force of [false, true]) {
      const refused = open(pipeline, scratch.path('mine'), ['uniform'], {}, force);
      await expect(refused).rejects.toThrow(
        `${scratch.path('mine')} holds other files and no comparison of ertacache.`,
      );
    }
    writeFileSync(scratch.path('mine', 'comparison.json'), '{"format":"spreadsheet"}');
    await expect(open(pipeline, scratch.path('mine'), ['uniform'], {}, true)).rejects.toThrow('is not a comparison');
    expect(readFileSync(join(foreign, 'holiday.png'), 'utf8')).toBe('mine');

    const first = await open(pipeline, scratch.path('own'), ['uniform'], { timed: 0 });
    await runArena(pipeline, first.store, { contenders: first.chosen });
    writeFileSync(scratch.path('own', 'images', 'reference', 'holiday.png'), 'mine');
    await open(pipeline, scratch.path('own'), ['uniform'], { timed: 0 }, true);
    expect(readdirSync(scratch.path('own'), { recursive: true }).sort()).toEqual([
      'comparison.json',
      'images',
      'images/reference',
      'images/reference/holiday.png',
    ]);
  });

  test('pixels without rows, of a run that was cut between the two, are made again', async () => {
    const whole = await open(pipeline, scratch.path('whole'), ['uniform'], { timed: 0 });
    await runArena(pipeline, whole.store, { contenders: whole.chosen });
    const cut = await open(pipeline, scratch.path('cut'), ['uniform'], { timed: 0 });
    let saves = 0;
    const save = () => (++saves === 1 ? Promise.reject(new Error('cut')) : cut.store.save());
    await expect(runArena(pipeline, { ...cut.store, save }, { contenders: cut.chosen })).rejects.toThrow('cut');
    expect(existsSync(cut.store.path('references/batch-000.safetensors'))).toBe(true);
    const again = await open(pipeline, scratch.path('cut'), ['uniform'], { timed: 0 });
    await runArena(pipeline, again.store, { contenders: again.chosen });
    expect(timeless(fileOf(again.store))).toEqual(timeless(fileOf(whole.store)));
  });

  test('a policy is used as it is written, so that a run that was cut goes on with the same', async () => {
    const { store, chosen } = await open(pipeline, scratch.path('out'), ['ertacache'], { timed: 0 });
    await runArena(pipeline, store, { contenders: chosen });
    const { data } = await readPolicy(store.path('policies/ertacache-4.json'));
    // More digits than the file holds.
    const steps = [...data.schedule].map(sign => (sign === '.' ? { 'output.0': 0.1 } : null));
    const { bench, release } = openBench(pipeline, store, { onPasses() {} });
    const made = await bench.policy('other', 4, async () => ({ data, rectify: { form: 'lsq', steps } }));
    const again = await bench.policy('other', 4, () => fail('it is there'));
    release();
    expect(made).toEqual(again);
  });

  test('every cell has its numbers, its pictures and its policy', async () => {
    const methods = ['fewer-steps-searched', 'multistep-searched', 'uniform', 'ertacache'];
    const { store, chosen } = await open(pipeline, scratch.path('out'), methods, { timed: 2 });
    const { cells, reference } = await runArena(pipeline, store, { contenders: chosen });
    expect(cells.map(c => c.method)).toEqual(methods);
    expect(reference.changes.map(pair => pair.length)).toEqual([8, 8, 8]);
    expect(reference.changes[0]![0]).toBeNull();
    expect(reference.changes.flat().filter(c => c !== null && !(c > 0))).toEqual([]);
    for (const cell of cells) {
      expect(cell.pairs).toHaveLength(3);
      for (const { psnr, forwards, computed } of cell.pairs) {
        expect(psnr).toBeGreaterThan(10);
        expect([forwards, computed]).toEqual([4, 4]);
      }
      expect(cell.timing?.cached).toHaveLength(2);
      expect(cell.flops! / reference.flops!).toBeCloseTo(4 / 8, 1);
      const folder = store.path('images', `${cell.method}-4`);
      for (const name of ['000.png', '002.png', '000-difference.png'])
        expect(existsSync(join(folder, name))).toBe(true);
    }
    // The steps of the searched grid are those that its policy computes.
    const grid = cellOf(store.comparison, 'fewer-steps-searched', 4)!;
    expect(grid.pairs[0]!.schedule).toBe('####');
    expect(grid.sigmas).toHaveLength(5);
    expect(existsSync(store.path('policies', 'fewer-steps-searched-4.json'))).toBe(true);
    expect(existsSync(store.path('policies', 'ertacache-4.json'))).toBe(true);
  });

  test('what a method cannot do is noted, and the others go on', async () => {
    const { store, chosen } = await open(pipeline, scratch.path('out'), ['taylorseer', 'uniform'], {
      timed: 0,
      budgets: [2],
      against: 'uniform',
    });
    const refusing = chosen.map(c =>
      c.name === 'taylorseer' ? { ...c, prepare: () => contenderCalled('no such method') as never } : c,
    );
    const { cells, refused } = await runArena(pipeline, store, { contenders: refusing });
    expect(cells.map(c => c.method)).toEqual(['uniform']);
    expect(refused).toEqual([
      { method: 'taylorseer', budget: 2, reason: '"no such method" is no method that can be compared.' },
    ]);
  });

  test('another command is refused for a folder, unless it is forced', async () => {
    const folder = scratch.path('out');
    const { store, chosen } = await open(pipeline, folder, ['uniform'], { timed: 0, against: 'uniform' });
    await runArena(pipeline, store, { contenders: chosen });
    const other: Partial<Asked> = { timed: 0, against: 'uniform', budgets: [3] };
    await expect(open(pipeline, folder, ['uniform'], other)).rejects.toThrow(
      `${folder} holds a comparison with other budgets.`,
    );
    const forced = await open(pipeline, folder, ['uniform'], other, true);
    expect([forced.store.continued, existsSync(store.path('images'))]).toEqual([false, false]);
  });
}, ['native', 'wasm']);

test('budgets and pairs that make no sense are refused in a sentence', async () => {
  const info = { id: 'toy', hash: '', modelClass: '', schedulerClass: '', parameters: 1 } as Pipeline['info'];
  const how = { engine: { kind: 'cpu', label: '' }, command: '', ...(await thisMachine()) };
  const begin = async (changed: Partial<Asked>) => beginComparison(info, [], { ...ASKED, ...changed }, how);
  await expect(begin({ budgets: [8] })).rejects.toThrow('8 of 8 steps cannot be the computed ones.');
  await expect(begin({ budgets: [1] })).rejects.toThrow('1 of 8 steps cannot be the computed ones.');
  await expect(begin({ steps: 3, budgets: [2] })).rejects.toThrow(
    'A comparison needs at least 4 steps; 3 were asked for.',
  );
  await expect(begin({ calibration: [{ prompt: 'compared 1', seed: 1 }] })).rejects.toThrow(
    '"compared 1" is compared on, but calibration has seen it.',
  );
});
