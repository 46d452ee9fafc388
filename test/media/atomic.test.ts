import { readdirSync, readFileSync } from 'node:fs';
import fs, { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IoError } from '../../src/errors';
import { stageFile, writeFileAtomic } from '../../src/io/atomic';
import { withAtomicFolder } from '../../src/io/atomic-folder';
import { scratchFolder } from './pictures';

const scratch = scratchFolder();

/** Makes every file that is opened hold half of what is written and then report a full disk. */
function fillDisk(): jest.SpyInstance {
  const open = fs.open;
  return jest.spyOn(fs, 'open').mockImplementation(async (...arguments_) => {
    const file = await open(...arguments_);
    file.writeFile = async () => {
      await file.write('half');
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC', syscall: 'write' });
    };
    return file;
  });
}

test('a file is written in folders that were not there, and nothing else is left', async () => {
  await writeFileAtomic(scratch.path('a', 'b', 'c.txt'), 'text');
  expect(readFileSync(scratch.path('a', 'b', 'c.txt'), 'utf8')).toBe('text');
  expect(readdirSync(scratch.path('a', 'b'))).toEqual(['c.txt']);
});

test('on a full disk the old file stays and no half file does', async () => {
  await writeFileAtomic(scratch.path('c.txt'), 'old');
  const spy = fillDisk();
  const failed = writeFileAtomic(scratch.path('c.txt'), 'new');
  await expect(failed).rejects.toThrow(`Cannot write ${scratch.path('c.txt')}: the disk is full.`);
  await expect(failed).rejects.toBeInstanceOf(IoError);
  spy.mockRestore();
  expect(readFileSync(scratch.path('c.txt'), 'utf8')).toBe('old');
  expect(readdirSync(scratch.path())).toEqual(['c.txt']);
});

test('a folder in the way, or a file where a folder is needed, is one sentence', async () => {
  await mkdir(scratch.path('taken'));
  await writeFile(scratch.path('file'), '');
  await expect(writeFileAtomic(scratch.path('taken'), 'x')).rejects.toThrow('a folder has that name');
  await expect(writeFileAtomic(scratch.path('file', 'x'), 'x')).rejects.toThrow(
    'a file stands where a folder is needed',
  );
  expect(readdirSync(scratch.path()).sort()).toEqual(['file', 'taken']);
});

test('a staged file appears when it is committed, or never', async () => {
  const staged = await stageFile(scratch.path('x'), 'x');
  const dropped = await stageFile(scratch.path('y'), 'y');
  expect(readdirSync(scratch.path()).filter(name => !name.endsWith('.partial'))).toEqual([]);
  await staged.commit();
  await dropped.discard();
  expect(readdirSync(scratch.path())).toEqual(['x']);
});

test('a folder appears complete, or not at all', async () => {
  const fill = (text: string) => (folder: string) => writeFile(join(folder, 'part'), text);
  await withAtomicFolder(scratch.path('out'), fill('first'));
  await expect(withAtomicFolder(scratch.path('out'), fill('second'))).rejects.toThrow('already there and holds other');

  const replace = { own: async () => new Set(['part']) };
  await withAtomicFolder(scratch.path('out'), fill('third'), replace);
  expect(readFileSync(scratch.path('out', 'part'), 'utf8')).toBe('third');

  const broken = async (folder: string) => {
    await fill('fourth')(folder);
    throw new Error('stopped');
  };
  await expect(withAtomicFolder(scratch.path('out'), broken, replace)).rejects.toThrow('stopped');
  expect(readFileSync(scratch.path('out', 'part'), 'utf8')).toBe('third');
  expect(readdirSync(scratch.path())).toEqual(['out']);
});

test("a folder's own failures are not blamed on the place it is written to", async () => {
  const reads = () => fs.readFile(scratch.path('missing-input'));
  await expect(withAtomicFolder(scratch.path('out'), reads)).rejects.toThrow(/ENOENT.*missing-input/);
});
