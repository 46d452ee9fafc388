import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { disk } from '../../src/io/fs';
import { scratchFolder } from '../media/pictures';
import { command } from '../weights/command';
import { put, tree } from './tree';

const loadModel = jest.fn(async () => {
  throw new Error('A model was loaded.');
});
jest.mock('../../src/pipelines/load', () => ({
  ...jest.requireActual('../../src/pipelines/load'),
  loadModel: () => loadModel(),
}));

const scratch = scratchFolder();
const good = resolve(__dirname, '../fixtures/bad/good');
const shipped = resolve(__dirname, '../../calibration/fluent-emoji-30steps-g3-15.json');

const commands: readonly (readonly [string, (out: string) => string[]])[] = [
  ['sample a picture', out => ['sample', 'lion', '--out', `${out}.png`]],
  ['sample a clip', out => ['sample', 'lion', '--out', `${out}.mp4`]],
  ['sample frames', out => ['sample', 'lion', '--out', `${out}/`]],
  ['sample into a folder', out => ['sample', 'lion', 'zebra', '--out-dir', out]],
  ['sample a sheet', out => ['sample', 'lion', '--out-dir', '/', '--sheet', `${out}.png`]],
  ['sample embeddings', out => ['sample', 'lion', '--save-embeddings', `${out}.safetensors`]],
  ['demo', out => ['demo', '--out', `${out}.png`]],
  ['calibrate', out => ['calibrate', '--out', `${out}.json`]],
  ['calibrate a baseline', out => ['calibrate', '--method', 'magcache', '--out', `${out}.json`]],
  ['compare', out => ['compare', '--out', out]],
  ['convert', out => ['convert', good, out]],
  [
    'policy resample',
    out => ['policy', 'resample', shipped, '--steps', '20', '--model', 'any', '--out', `${out}.json`],
  ],
];

describe.each([
  ['EROFS', 'the file system is read-only'],
  ['ENOSPC', 'the disk is full'],
])('on %s', (code, reason) => {
  test.each(commands)('%s is refused before a model is loaded', async (_, args) => {
    const failed = Object.assign(new Error(code), { code, syscall: 'open' });
    const spy = jest.spyOn(disk, 'open').mockRejectedValue(failed);
    const out = scratch.path('new', 'out');
    const { code: exit, stderr } = await command('--backend', 'cpu', ...args(out)).finally(() => spy.mockRestore());
    expect(exit).toBe(1);
    expect(stderr).toMatch(new RegExp(`^ertacache: Cannot write [^\\n]*: ${reason}\\.\\n`));
    expect(loadModel).not.toHaveBeenCalled();
    expect(readdirSync(scratch.path())).toEqual([]);
  });
});

test.each<readonly [string, Readonly<Record<string, string>>, (out: string) => string[], string]>([
  [
    'a comparison',
    { 'out/images/a.png': 'mine' },
    out => ['compare', '--force', '--out', out],
    'holds other files and no',
  ],
  ['frames', { 'out/frame_0000.png': 'mine' }, out => ['sample', 'lion', '--out', `${out}/`], 'holds other files'],
  [
    'a receipt',
    { 'out.gif.json': '{}' },
    out => ['sample', 'lion', '--out', `${out}.gif`],
    'out.gif.json was not written',
  ],
  ['a policy', { 'out.json': '{}' }, out => ['calibrate', '--out', `${out}.json`], 'out.json was not written'],
  ['coefficients', { 'out.safetensors': 'x' }, out => ['calibrate', '--out', `${out}.json`], 'out.safetensors was not'],
  [
    'facts',
    { 'out.json': '{}' },
    out => ['calibrate', '--method', 'magcache', '--out', `${out}.json`],
    'was not written',
  ],
  ['embeddings', { 'out.st': 'x' }, out => ['sample', 'lion', '--save-embeddings', `${out}.st`], 'holds no embeddings'],
])('in the place of %s, what is the user’s is refused before a model is loaded', async (_, files, args, message) => {
  put(scratch.path(), files);
  const { code, stderr } = await command('--backend', 'cpu', ...args(scratch.path('out')));
  expect(code).toBeGreaterThan(0);
  expect(stderr).toContain(message);
  expect(stderr).toMatch(/^ertacache: [^\n]+\n {2}[^\n]+\n$/);
  expect(loadModel).not.toHaveBeenCalled();
  expect(tree(scratch.path())).toEqual(new Map(Object.entries(files)));
});

test('a file in the way of a folder is told at once', async () => {
  mkdirSync(scratch.path('taken'));
  writeFileSync(join(scratch.path('taken'), 'file'), '');
  const { stderr } = await command('--backend', 'cpu', 'compare', '--out', scratch.path('taken', 'file', 'out'));
  expect(stderr).toContain('a file stands where a folder is needed');
  expect(loadModel).not.toHaveBeenCalled();
});
