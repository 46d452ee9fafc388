import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireCorrects } from '../../src/cache/check-rectify';
import { ertacache } from '../../src/cache/ertacache';
import type { Rectification } from '../../src/cache/rectify';
import { packageRoot } from '../../src/io/package-root';
import { readPolicy } from '../../src/policy/file';
import { policyHash } from '../../src/policy/hash';
import { policiesOnDisk } from '../../src/policy/on-disk';

const begin = (rectify: Rectification) =>
  ertacache({ reused: [false, true], site: 'velocity', timestep: { form: 'off', phi: [] }, rectify });

const byChannel = (channelAxis: number, width: number): Rectification => {
  const row = Array<number>(width).fill(1);
  return { form: 'linear', channelAxis, steps: [null, { K: row, B: row }] };
};

test('a correction fits the latent that it corrects', () => {
  const run = { steps: 2, sigmas: [1, 0.5, 0], shape: [2, 8, 8, 4], channelAxis: 3 };
  expect(() => requireCorrects(byChannel(3, 4), run)).not.toThrow();
  expect(() => requireCorrects(byChannel(3, 1), run)).not.toThrow();
  expect(() => requireCorrects(byChannel(99, 1), run)).toThrow(
    'lie along axis 99, and the latent [2,8,8,4] has 4 axes',
  );
  expect(() => requireCorrects(byChannel(3, 5), run)).toThrow('corrects 5 channels, and the latent [2,8,8,4] has 4');
  // As many rows as it has channels, but rows they are.
  expect(() => requireCorrects(byChannel(1, 8), run)).toThrow('along axis 1, and those of this model along axis 3');
  expect(() => begin(byChannel(99, 1)).begin(run)).toThrow('axis 99');
});

test('a correction weighs parts that the outputs have', () => {
  const lsq: Rectification = { form: 'lsq', steps: [null, { 'output.1': 0.5, sample: 1 }] };
  const run = { steps: 2, sigmas: [1, 0.5, 0] };
  expect(() => begin(lsq).begin({ ...run, parts: ['output'] })).not.toThrow();
  expect(() => begin(lsq).begin({ ...run, parts: ['conditional', 'unconditional'] })).toThrow(
    'weighs "output.1", and the outputs of this run have the parts conditional, unconditional.',
  );
  expect(() => begin({ form: 'lsq', steps: [null, { constructor: 1 } as never] })).toThrow('no such term');
  expect(() => begin({ form: 'lsq', steps: [null, { one: Number.NaN }] })).toThrow('weighs "one" by NaN');
  expect(() => begin({ form: 'lsq', steps: [null] })).toThrow('corrects 1 steps, and its schedule has 2');
});

test('what lies at the path of a receipt by now does not hide the shipped policy', async () => {
  const shipped = await readPolicy(join(packageRoot(), 'calibration', 'fluent-emoji-30steps-g3-15.json'));
  const hash = policyHash(shipped);
  // Receipts have it.
  expect(hash).toBe('f834a07a662bc400');
  const folder = await mkdtemp(join(tmpdir(), 'ertacache-policy-'));
  const path = join(folder, 'p.json');
  try {
    for (const text of ['', 'no policy', '{}']) {
      await writeFile(path, text);
      expect((await policiesOnDisk.byHash(hash, path))?.policy.data.name).toBe('ertacache');
    }
    expect(await policiesOnDisk.byHash('0000', path)).toBeUndefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});
