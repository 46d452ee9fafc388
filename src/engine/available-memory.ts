/** What is known of memory, in bytes, and how to ask the system for more. */
export interface MemoryFacts {
  readonly platform: string | undefined;
  /** All that this process may have. */
  readonly total: number;
  /** What Node says is available; 0 or nothing where it does not know. */
  readonly reported: number | undefined;
  /** Whether the total is the limit of a container, and not the machine's. */
  readonly isLimited: boolean;
  /** The text of one of the system's files, where it can be read. */
  read(path: string): string | undefined;
}

/**
 * Bytes that work can have. Node leaves out what holds files that were read and is given up for work: in a container
 * all of its page cache, on macOS everything but the free pages, so that a machine which has loaded a model seems full.
 */
export function availableOf({ platform, total, reported = 0, isLimited, read }: MemoryFacts): number {
  if (platform === 'darwin') return total;
  if (platform !== 'linux' || !isLimited) return reported > 0 ? Math.min(reported, total) : total;
  const inContainer = reported + (pageCache(read) ?? 0);
  const onMachine = numberIn(read('/proc/meminfo'), /^MemAvailable:\s*(\d+) kB$/m);
  const known = Math.min(inContainer, onMachine === undefined ? total : onMachine * 1024, total);
  return known > 0 ? known : total;
}

/** Bytes of files that this process's cgroup holds in memory, of version 1 or 2; undefined where that is not known. */
function pageCache(read: MemoryFacts['read']): number | undefined {
  const groups = read('/proc/self/cgroup') ?? '';
  const own = /^0::(\/.*)$/.exec(groups.split('\n')[0] as string)?.[1];
  const [root, path, prefix] =
    own === undefined
      ? ['/sys/fs/cgroup/memory', /^\d+:memory:(\/.*)$/m.exec(groups)?.[1], 'total_']
      : ['/sys/fs/cgroup', own, ''];
  if (path === undefined) return undefined;
  // A container that sees no other groups may still be told its path among them.
  const stat = read(`${root}${path.replace(/\/$/, '')}/memory.stat`) ?? read(`${root}/memory.stat`);
  const [inactive, active] = ['inactive', 'active'].map(kind =>
    numberIn(stat, new RegExp(`^${prefix}${kind}_file (\\d+)$`, 'm')),
  );
  return inactive === undefined || active === undefined ? undefined : inactive + active;
}

function numberIn(text: string | undefined, line: RegExp): number | undefined {
  const found = text === undefined ? undefined : line.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
