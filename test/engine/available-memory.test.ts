import { availableOf } from '../../src/engine/available-memory';

const GB = 1e9;
const MEMINFO = 'MemTotal:       65000000 kB\nMemFree:         1000000 kB\nMemAvailable:   50000000 kB\n';

/** A process with a limit of 16 GB, of which 1 GB is neither used nor filled with files. */
function available(files: Record<string, string>, facts: Partial<Parameters<typeof availableOf>[0]> = {}): number {
  const read = (path: string): string | undefined => files[path];
  return availableOf({ platform: 'linux', total: 16 * GB, reported: GB, isLimited: true, read, ...facts });
}

const V2 = {
  '/proc/meminfo': MEMINFO,
  '/proc/self/cgroup': '0::/user.slice/run-1.scope\n',
  '/sys/fs/cgroup/memory.stat': 'inactive_file 1\nactive_file 2\n',
  '/sys/fs/cgroup/user.slice/run-1.scope/memory.stat':
    'anon 5000000000\nfile 10000000000\nshmem 100000000\ninactive_anon 7\nactive_anon 8\ninactive_file 6000000000\nactive_file 3000000000\nworkingset_refault_file 5\n',
};
const V1 = {
  '/proc/meminfo': MEMINFO,
  '/proc/self/cgroup': '12:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n0::/\n',
  '/sys/fs/cgroup/memory/memory.stat':
    'cache 4\ninactive_file 1\nactive_file 2\ntotal_inactive_file 6000000000\ntotal_active_file 3000000000\n',
};

test.each([
  ['version 2', V2],
  [
    'version 2, at its root',
    {
      ...V2,
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/memory.stat': V2['/sys/fs/cgroup/user.slice/run-1.scope/memory.stat'],
    },
  ],
  ['version 1, whose own folder the container does not see', V1],
])('in a cgroup of %s, files in memory are available', (_, files) => {
  expect(available(files)).toBe(10 * GB);
  // No more than the limit, or than the machine has.
  expect(available(files, { reported: 9 * GB })).toBe(16 * GB);
  expect(available({ ...files, '/proc/meminfo': 'MemAvailable:   4000000 kB\n' })).toBe(4_096_000_000);
});

test('what cannot be read changes nothing', () => {
  const [own] = Object.keys(V2).filter(path => path.endsWith('scope/memory.stat'));
  expect(available({})).toBe(GB);
  expect(available({ '/proc/self/cgroup': V2['/proc/self/cgroup'] })).toBe(GB);
  expect(available({ '/proc/self/cgroup': V2['/proc/self/cgroup'], [own!]: 'anon 5\n' })).toBe(GB);
  expect(available({ '/proc/self/cgroup': '4:cpu:/\n' })).toBe(GB);
  expect(available({ '/proc/meminfo': MEMINFO })).toBe(GB);
});

test('without a limit Node knows; what nobody knows is no reason to refuse', () => {
  expect(available(V2, { isLimited: false })).toBe(GB);
  expect(available(V2, { platform: 'win32' })).toBe(GB);
  for (const reported of [0, undefined]) {
    expect(available({}, { reported })).toBe(16 * GB);
    expect(available({}, { reported, isLimited: false })).toBe(16 * GB);
    expect(available({}, { reported, platform: undefined, total: Infinity })).toBe(Infinity);
  }
});

test('macOS counts free pages only: there the total is all there is to go by', () => {
  expect(available({}, { platform: 'darwin', reported: 0.1 * GB, isLimited: false })).toBe(16 * GB);
});
