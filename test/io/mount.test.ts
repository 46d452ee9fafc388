import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import type * as fs from 'node:fs/promises';
import { IoError } from '../../src/errors';
import { requireReplaceable, withAtomicFolder } from '../../src/io/atomic-folder';
import { scratchFolder } from '../media/pictures';

jest.mock('node:fs/promises', () => {
  const real = jest.requireActual<typeof fs>('node:fs/promises');
  const stat = async (path: string) => {
    const info = await real.stat(path);
    return /[\\/]mount(?:[\\/]|$)/.test(path) ? Object.assign(info, { dev: info.dev + 1 }) : info;
  };
  return { ...real, stat };
});
const scratch = scratchFolder();

test('the top folder of a disk is refused before the work, folders inside it are not', async () => {
  mkdirSync(scratch.path('mount/a'), { recursive: true });
  symlinkSync('mount', scratch.path('link'));
  symlinkSync('mount/a', scratch.path('inside'));
  const before = readdirSync(scratch.path());
  const fill = jest.fn(async () => 'done');
  for (const path of [scratch.path('mount'), scratch.path('link'), '/']) {
    for (const refused of [withAtomicFolder(path, fill), requireReplaceable(path, {})]) {
      await expect(refused).rejects.toBeInstanceOf(IoError);
      await expect(refused).rejects.toMatchObject({
        message: `${path} is a mount point and cannot be replaced as a whole.`,
        hint: 'Give a folder inside it.',
      });
    }
  }
  expect(fill).not.toHaveBeenCalled();
  expect(readdirSync(scratch.path())).toEqual(before);
  for (const name of ['mount/a', 'inside', 'mount/b']) {
    expect(await withAtomicFolder(scratch.path(name), fill)).toBe('done');
  }
});
