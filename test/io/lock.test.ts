import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { IoError } from '../../src/errors';
import { disk } from '../../src/io/fs';
import { isLockBeside, lockBeside, withLock } from '../../src/io/lock';
import { self } from '../../src/io/owner';
import { leftovers, stagedName } from '../../src/io/staged';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();
const file = () => scratch.path('lock');
const lockOf = (owner: object): string =>
  `${JSON.stringify({ format: 'ertacache-lock', ...self, since: '2026-01-02T03:04:05.000Z', ...owner })}\n`;
const taken = () => withLock(file(), 'the folder', async () => existsSync(file()));

test('the second of two is told who works there and since when', async () => {
  await withLock(file(), 'the folder', async () => {
    const second = taken();
    await expect(second).rejects.toBeInstanceOf(IoError);
    await expect(second).rejects.toThrow(
      new RegExp(`^the folder is in use by another run of ertacache: process ${process.pid} on ${hostname()}, since 2`),
    );
  });
  expect(existsSync(file())).toBe(false);
  expect(await taken()).toBe(true);
});

test('one that has patience waits for its turn', async () => {
  const order: string[] = [];
  const work = (name: string) => async (): Promise<void> => {
    order.push(`${name} begins`);
    await new Promise(resolve => setTimeout(resolve, 30));
    order.push(`${name} ends`);
  };
  await Promise.all(['a', 'b', 'c'].map(name => withLock(file(), 'the folder', work(name), 5000)));
  expect(order.map(line => line.slice(2))).toEqual(['begins', 'ends', 'begins', 'ends', 'begins', 'ends']);
});

test.each([
  ['a process that is gone', { pid: 2 ** 22 + 1, start: '1' }],
  ['a process whose number is in use again, as in containers', { start: '1' }],
])('the lock of %s is taken over', async (_, owner) => {
  writeFileSync(file(), lockOf(owner));
  expect(await taken()).toBe(true);
  expect(existsSync(file())).toBe(false);
});

test('another machine of the same name is another machine', async () => {
  const gone = { pid: 2 ** 22 + 1, start: '1' };
  writeFileSync(file(), lockOf({ ...gone, machine: 'another' }));
  await expect(taken()).rejects.toThrow(`process ${gone.pid} on ${hostname()}`);
  // Earlier versions told machines apart by their names alone.
  writeFileSync(file(), lockOf({ ...gone, machine: undefined }));
  expect(await taken()).toBe(true);
});

test('what another machine of the same name is writing is left to it', async () => {
  const target = scratch.path('a.json');
  const { machine } = self;
  const gone = { pid: self.pid, start: self.start };
  Object.assign(self, { machine: 'another', pid: 2 ** 22 + 1, start: '1' });
  const theirs = stagedName(target, 'new');
  Object.assign(self, gone, { machine });
  writeFileSync(theirs, 'half');
  expect(await leftovers(target)).toEqual([]);
  const old = new Date(Date.now() - 2 * 3_600_000);
  utimesSync(theirs, old, old);
  expect(await leftovers(target)).toEqual([{ path: theirs, kind: 'new' }]);
});

test('a run that has lost its lock leaves it to the other', async () => {
  await withLock(file(), 'the folder', async () => writeFileSync(file(), lockOf({ host: 'elsewhere' })));
  expect(readFileSync(file(), 'utf8')).toContain('elsewhere');
});

test('the lock of another machine holds as long as it gives signs of life', async () => {
  writeFileSync(file(), lockOf({ host: 'elsewhere' }));
  const age = (minutes: number): void => {
    const then = new Date(Date.now() - minutes * 60_000);
    utimesSync(file(), then, then);
  };
  for (const minutes of [0, 14]) {
    age(minutes);
    await expect(taken()).rejects.toThrow('process');
  }
  age(16);
  expect(await taken()).toBe(true);
});

test('a lock that was cut while it was written is taken over after a while; what is no lock, never', async () => {
  const begun = lockOf({}).slice(0, 30);
  writeFileSync(file(), begun);
  await expect(taken()).rejects.toThrow('it has just begun');
  const old = new Date(Date.now() - 60_000);
  utimesSync(file(), old, old);
  expect(await taken()).toBe(true);
  writeFileSync(file(), 'mine');
  utimesSync(file(), old, old);
  await expect(taken()).rejects.toThrow(`${file()} is where ertacache keeps a lock, and holds something else.`);
  expect(readFileSync(file(), 'utf8')).toBe('mine');
});

test('a lock is known by what it holds: a file of that name alone is left to its owner', async () => {
  const [own, foreign] = [lockBeside(scratch.path('a.json')), lockBeside(scratch.path('b.json'))];
  writeFileSync(foreign, 'mine');
  await withLock(own, 'a.json', async () => {
    expect([await isLockBeside(own), await isLockBeside(foreign)]).toEqual([true, false]);
    expect(await isLockBeside(scratch.path('a.json'))).toBe(false);
  });
});

describe('where files have no second names', () => {
  const fail = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code, syscall: 'link' }));
  afterEach(() => jest.restoreAllMocks());

  test.each(['EISDIR', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP'])('a lock is taken and holds (%s)', async code => {
    jest.spyOn(disk, 'link').mockImplementation(fail(code));
    await withLock(file(), 'the folder', async () => {
      await expect(taken()).rejects.toThrow('is in use by another run of ertacache');
      expect(existsSync(file())).toBe(true);
    });
    writeFileSync(file(), lockOf({ start: '1' }));
    expect(await taken()).toBe(true);
  });

  test('the lock of a run that was quicker to take over one stays its own', async () => {
    const live = lockOf({ host: 'elsewhere' });
    writeFileSync(file(), lockOf({ start: '1' }));
    jest.spyOn(disk, 'link').mockImplementation(fail('EISDIR'));
    const { rename } = disk;
    jest.spyOn(disk, 'rename').mockImplementationOnce(async (from, to) => {
      writeFileSync(from, live);
      await rename(from, to);
    });
    await expect(taken()).rejects.toThrow('on elsewhere');
    expect(readFileSync(file(), 'utf8')).toBe(live);
  });
});
