import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isRunning, self } from './owner';
import { sha256 } from './sha256';

/** What lies under a staged name: something on its way to its name, or what has stepped aside for it. */
export type StagedKind = 'new' | 'old';

export interface Leftover {
  readonly path: string;
  readonly kind: StagedKind;
}

const keyOf = (name: string): string => sha256(name).slice(0, 6);
const ownKey = (): string => keyOf(self.machine === undefined ? self.host : `${self.host} ${self.machine}`);

/** Of `.NAME.HOST-PROCESS-START-RANDOM.KIND.partial`: a form that nobody but this file gives. */
const STAGED = /^\.(.+)\.([0-9a-f]{6})-([0-9]+)-([0-9]+)-[0-9a-f]{12}\.(new|old)\.partial$/s;

/** A name beside `target`, so that the final rename stays on one file system; it says which process made it. */
export function stagedName(target: string, kind: StagedKind): string {
  const id = `${ownKey()}-${self.pid}-${self.start}-${randomBytes(6).toString('hex')}`;
  return join(dirname(target), `.${stem(target)}.${id}.${kind}.partial`);
}

/** Whether a name is that of something staged. */
export const isStagedName = (name: string): boolean => STAGED.test(name);

/** What runs that are gone have left beside `target`. */
export async function leftovers(target: string): Promise<Leftover[]> {
  const folder = dirname(target);
  const name = stem(target);
  const found: Leftover[] = [];
  for (const entry of await readdir(folder).catch(() => [])) {
    const [, of, host, pid, start, kind] = STAGED.exec(entry) ?? [];
    if (of !== name) continue;
    const path = join(folder, entry);
    const lastSign = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
    // By the name alone, as earlier versions told machines apart.
    const isHere = host === ownKey() || host === keyOf(self.host);
    const owner = { host: isHere ? self.host : '', pid: Number(pid), start: start as string };
    if (!isRunning(owner, lastSign)) found.push({ path, kind: kind as StagedKind });
  }
  return found;
}

/** The beginning of a name, short enough that the whole stays below the usual limit of 255 bytes. */
function stem(target: string): string {
  let short = '';
  for (const sign of basename(target)) {
    if (Buffer.byteLength(short + sign) > 120) break;
    short += sign;
  }
  return short;
}
