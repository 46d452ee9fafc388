import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process that may be writing: what is left of it says which one it was. */
export interface Owner {
  readonly host: string;
  readonly pid: number;
  /** When it began, as the system counts; tells processes apart that had the same number. `0` where it is not known. */
  readonly start: string;
}

/** Without a sign of life for so long, a run on another machine is taken to be gone. */
const SILENCE_MS = 3_600_000;

/** This process. A test that plays the next run changes `start`. */
export const self: { host: string; pid: number; start: string } = {
  host: hostname(),
  pid: process.pid,
  start: startOf(process.pid) ?? '0',
};

/**
 * Whether a process may still be at work.
 * @param lastSign when it last gave a sign, in milliseconds: all there is to go by for another machine
 * @param silence how long such a one may give none, in milliseconds; an hour unless given
 */
export function isRunning({ host, pid, start }: Owner, lastSign: number, silence = SILENCE_MS): boolean {
  if (host !== self.host) return Date.now() - lastSign < silence;
  if (pid === self.pid) return start === self.start;
  const now = startOf(pid);
  return now === undefined ? exists(pid) : now === start;
}

/** When a process began, in ticks since the machine did; nothing where there is no such process, or no /proc. */
function startOf(pid: number): string | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name, which may hold anything, ends with the last bracket; then come the state and 18 more fields.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

function exists(pid: number): boolean {
  // A process that has ended and was not asked for its result has a number still.
  if (process.platform === 'linux') return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code === 'EPERM';
  }
}
