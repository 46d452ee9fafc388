import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { CheckpointError, IoError } from '../../src/errors';
import { diskFolder } from '../../src/io/disk-folder';
import { type Folder, lastPart, memoryFolder, readBytesIn, readTextIn, within } from '../../src/io/folder';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

function onDisk(): Folder {
  mkdirSync(scratch.path('model/part/deep'), { recursive: true });
  writeFileSync(scratch.path('model/a.json'), '{}');
  writeFileSync(scratch.path('model/part/b.txt'), 'bé');
  writeFileSync(scratch.path('model/part/deep/c.txt'), 'c');
  symlinkSync(scratch.path('model/part'), scratch.path('model/linked'));
  return diskFolder(scratch.path('model'));
}

function inMemory(): Folder {
  const files = { 'a.json': '{}', 'part/b.txt': 'bé', 'part/deep/c.txt': 'c', 'linked/b.txt': 'bé' };
  return memoryFolder('some/model', new Map(Object.entries(files).map(([path, words]) => [path, text(words)])));
}

test.each([
  ['disk', onDisk],
  ['memory', inMemory],
])('a folder on %s: has, open, list, and a folder within', async (_, make) => {
  const folder = make();
  expect(await Promise.all(['a.json', 'part', 'part/b.txt', 'no'].map(path => folder.has(path)))).toEqual([
    true,
    false,
    true,
    false,
  ]);
  const part = within(folder, 'part');
  expect(part.name).toBe(`${folder.name}/part`);
  expect(part.pathTo('b.txt')).toBe(`${folder.name}/part/b.txt`);
  expect(await readTextIn(part, 'b.txt')).toBe('bé');
  expect([...(await readBytesIn(folder, 'part/b.txt'))]).toEqual([98, 195, 169]);
  expect(await folder.list!()).toEqual(expect.arrayContaining(['a.json', 'part/b.txt', 'linked/b.txt']));
  expect(await part.list!()).toContain('b.txt');
  expect(await part.has('b.txt')).toBe(true);

  const file = await part.open('b.txt', { transient: true });
  expect([file.name, file.size]).toEqual([`${folder.name}/part/b.txt`, 3]);
  await expect(file.read(1, 4)).rejects.toBeInstanceOf(CheckpointError);
  await file.close();
  await expect(folder.open('no')).rejects.toBeInstanceOf(IoError);
  await expect(folder.open('no')).rejects.toThrow(`${folder.name}/no does not exist.`);
  await expect(readTextIn(folder, 'a.json', 1)).rejects.toThrow('has 2 bytes, far more than a file of its kind');
});

test('a folder that is not there holds nothing', async () => {
  const folder = diskFolder(scratch.path('nowhere'));
  expect(await folder.has('a')).toBe(false);
  await expect(folder.list!()).rejects.toThrow('nowhere does not exist');
});

test('the last part of a path or an address', () => {
  expect(['a/b', 'C:\\models\\b\\', 'https://example.org/a/b/', 'b', '/'].map(lastPart)).toEqual([
    'b',
    'b',
    'b',
    'b',
    '/',
  ]);
});
