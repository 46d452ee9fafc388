import { disk } from '../../src/io/fs';
import { self } from '../../src/io/owner';

/** How an operation fails: as a system call does, or as if the process were killed at it. */
export type Fault = 'ENOSPC' | 'EACCES' | 'EIO' | 'kill';
export const FAULTS: readonly Fault[] = ['ENOSPC', 'EACCES', 'EIO', 'kill'];

type Name = keyof typeof disk;
const NAMES = Object.keys(disk) as Name[];

interface Faulty {
  /** Operations that the run asked for. */
  readonly count: number;
  /** What ended it, if anything did. */
  readonly error: unknown;
}

/**
 * Runs work whose `n`-th change of the disk fails. After a `kill` every later one fails too, and what is left belongs to
 * a process that is gone. Without `n` nothing fails, and the operations are counted.
 */
export async function withFault(work: () => Promise<unknown>, n = 0, fault: Fault = 'EIO'): Promise<Faulty> {
  const real = { ...disk };
  let count = 0;
  let isDead = false;
  const wrap = (name: Name) => {
    const operation = real[name] as (...given: unknown[]) => Promise<unknown>;
    return async (...given: unknown[]): Promise<unknown> => {
      if (isDead) throw failure(fault, name, given);
      // The sign of life comes by the clock, not by the work.
      if (name === 'touch' || ++count !== n) return operation(...given);
      isDead = fault === 'kill';
      // A write that fails has often written something.
      if (name === 'write') await real.write(given[0] as never, half(given[1] as Uint8Array | string));
      throw failure(fault, name, given);
    };
  };
  Object.assign(disk, Object.fromEntries(NAMES.map(name => [name, wrap(name)])));
  let error: unknown;
  try {
    await work();
  } catch (caught) {
    error = caught;
  } finally {
    Object.assign(disk, real);
  }
  // The next run is another process.
  if (isDead) self.start = String(Number(self.start) + 1);
  return { count, error };
}

const half = (bytes: Uint8Array | string): Uint8Array | string => bytes.slice(0, Math.floor(bytes.length / 2));

function failure(fault: Fault, name: Name, given: readonly unknown[]): Error {
  if (fault === 'kill') return new Error('killed');
  const path = typeof given[0] === 'string' ? given[0] : undefined;
  return Object.assign(new Error(`${fault}: ${name}`), { code: fault, syscall: name, ...(path && { path }) });
}
