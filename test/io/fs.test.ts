import { mkdir, writeFile } from 'node:fs/promises';
import { disk } from '../../src/io/fs';
import { scratchFolder } from '../media/pictures';

jest.mock('node:fs/promises', () => {
  const real = jest.requireActual('node:fs/promises');
  return { ...real, mkdir: jest.fn(real.mkdir) };
});
const scratch = scratchFolder();

test.each(['EPERM', 'EEXIST'])('a folder that is there need not be made, where the system says %s', async code => {
  const refused = Object.assign(new Error(code), { code, syscall: 'mkdir' });
  const made = (name: string): Promise<unknown> => {
    jest.mocked(mkdir).mockRejectedValueOnce(refused);
    return disk.mkdir(scratch.path(name));
  };
  await writeFile(scratch.path('file'), '');
  await expect(made('.')).resolves.toBeUndefined();
  for (const name of ['file', 'nowhere']) await expect(made(name)).rejects.toBe(refused);
  await expect(disk.mkdir(scratch.path('a/b'))).resolves.toBe(scratch.path('a'));
});
