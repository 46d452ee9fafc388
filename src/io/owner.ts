import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { sha256 } from './sha256';

/** A process that may be writing: what is left of it says which one it was. */
export interface Owner {
  readonly host: string;
  /** Tells machines of one name apart; absent where the system has no such thing, and where it was not asked yet. */
  readonly machine?: string | undefined;
  readonly pid: number;
  /** When it began, as the system counts; tells processes apart that had the same number. `0` where it is not known. */
  readonly start: string;
}

/** Without a sign of life for so long, a run on another machine is taken to be gone. */
const SILENCE_MS = 3_600_000;

/** This process. A test that plays the next run changes `start`. */
export const self: { host: string; machine: string | undefined; pid: number; start: string } = {
  host: hostname(),
  machine: machineId(),
  pid: process.pid,
  start: startOf(process.pid) ?? '0',
};

/**
 * Whether a process may still be at work.
 * @param lastSign when it last gave a sign, in milliseconds: all there is to go by for another machine
 * @param silence how long such a one may give none, in milliseconds; an hour unless given
 */
export function isRunning(owner: Owner, lastSign: number, silence = SILENCE_MS): boolean {
  const { pid, start } = owner;
  if (!isHere(owner)) return Date.now() - lastSign < silence;
  if (pid === self.pid) return start === self.start;
  const now = startOf(pid);
  return now === undefined ? exists(pid) : now === start;
}

/** Two machines may have one host name, and the same process numbers. */
function isHere({ host, machine = self.machine }: Owner): boolean {
  return host === self.host && (machine === self.machine || self.machine === undefined);
}

/**
 * A short hash that names this machine: of its machine id, which outlives a restart, or where there is none, as in most
 * containers, of the id of the last start.
 */
function machineId(): string | undefined {
  for (const file of ['/etc/machine-id', '/proc/sys/kernel/random/boot_id']) {
    try {
      const id = readFileSync(file, 'utf8').trim();
      if (/^[0-9a-f-]{32,36}$/.test(id)) return sha256(id).slice(0, 12);
    } catch {
      // Other systems have neither.
    }
  }
  return undefined;
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
