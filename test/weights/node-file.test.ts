import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAGE, pageAlignedBytes } from '../../src/io/aligned';
import { joinedFile } from '../../src/io/byte-file';
import { openFile, transientFile } from '../../src/io/node-file';

const SIZE = 9_000_001;
const bytes = Uint8Array.from({ length: SIZE }, (_, i) => (i * 131 + (i >> 12) * 17) % 251);

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ertacache-file-'));
  path = join(folder, 'file');
  await writeFile(path, bytes);
});
afterAll(() => rm(folder, { recursive: true }));

const ranges = [
  [0, SIZE],
  [0, PAGE],
  [PAGE, 3 * PAGE],
  [1, 17],
  [PAGE - 1, PAGE + 1],
  [12_345, 8_800_000],
  [SIZE - 3, SIZE],
  [700, 700],
] as const;
const kinds = [
  ['a file', () => openFile(path)],
  ['a file that is opened for each read', () => transientFile(path)],
  ['files in a row', async () => joinedFile('both', [await openFile(path), await openFile(path)])],
] as const;

describe.each(kinds)('%s, read past the page cache', (_kind, open) => {
  // A page further on, memory lies as the bytes do in the file; a byte further on, it does not.
  test.each([0, 1, 511])('the same bytes, and none beside them, %i bytes off', async shift => {
    const file = await open();
    file.bypassCache();
    for (const [begin, end] of ranges) {
      const memory = pageAlignedBytes(SIZE + 2 * PAGE).fill(255);
      const at = (begin % PAGE) + shift;
      await file.readInto(begin, memory.subarray(at, at + end - begin));
      expect(Buffer.compare(memory.subarray(at, at + end - begin), bytes.subarray(begin, end))).toBe(0);
      expect(memory.subarray(0, at).every(b => b === 255)).toBe(true);
      expect(memory.subarray(at + end - begin).every(b => b === 255)).toBe(true);
    }
    await file.close();
  });
});

test.each([false, true])('a read is under way when the call returns (past the cache: %s)', async isPast => {
  const probe = await open(path);
  const cached = jest.spyOn(Object.getPrototypeOf(probe), 'read');
  const file = await openFile(path);
  if (isPast) file.bypassCache();
  // Nowhere near a page's begin, so that past the cache too it is the cached way that reads.
  const done = file.readInto(5, new Uint8Array(20));
  expect(cached).toHaveBeenCalledTimes(1);
  await done;
  cached.mockRestore();
  await Promise.all([file.close(), probe.close()]);
});

test.each([
  ['a file', openFile],
  ['a file that is opened for each read', transientFile],
] as const)('%s that was cut meanwhile says so', async (_kind, open) => {
  const short = join(folder, 'short');
  await writeFile(short, bytes);
  const file = await open(short);
  file.bypassCache();
  await truncate(short, 5 * PAGE + 7);
  await expect(file.readInto(0, pageAlignedBytes(10 * PAGE))).rejects.toMatchObject({ fault: 'truncated_data' });
  await file.close();
});
