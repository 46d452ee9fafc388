import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { disk } from '../../src/io/fs';
import { scratchFolder } from '../media/pictures';

jest.mock('node:fs/promises', () => {
  const real = jest.requireActual('node:fs/promises');
  return { ...real, mkdir: jest.fn(real.mkdir), rename: jest.fn(real.rename) };
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

describe.each(['EPERM', 'EACCES', 'EBUSY'])('a file that another program has open (%s)', code => {
  const { platform } = process;
  const refused = Object.assign(new Error(code), { code, syscall: 'rename' });
  const on = (name: string): void => void Object.defineProperty(process, 'platform', { value: name });
  const renamed = () => disk.rename(scratch.path('a'), scratch.path('b'));
  beforeEach(async () => {
    jest.mocked(rename).mockClear().mockRejectedValueOnce(refused).mockRejectedValueOnce(refused);
    await writeFile(scratch.path('a'), 'a');
  });
  afterEach(() => {
    on(platform);
    jest.restoreAllMocks();
  });

  test('is waited for on Windows', async () => {
    on('win32');
    await renamed();
    expect(rename).toHaveBeenCalledTimes(3);
    expect(await readFile(scratch.path('b'), 'utf8')).toBe('a');
  });

  test('is waited for not longer than some seconds, and elsewhere not at all', async () => {
    on('win32');
    jest.spyOn(Date, 'now').mockReturnValueOnce(0).mockReturnValue(6000);
    await expect(renamed()).rejects.toBe(refused);
    on('linux');
    await expect(renamed()).rejects.toBe(refused);
    expect(rename).toHaveBeenCalledTimes(2);
  });
});
