import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { IoError } from '../errors';
import { disk, writeNew } from './fs';
import { isRunning, type Owner, self } from './owner';
import { leftovers, stagedName } from './staged';
import { systemCode, writeError } from './system-error';

/** The lock of a folder, inside it. */
export const LOCK_FILE = '.ertacache-lock';
const FORMAT = 'ertacache-lock';
/** How often a run says that it lives, for runs on other machines. */
const SIGN_MS = 60_000;
/** Without a sign for so long, a run on another machine, or in a container that is gone, no longer has its lock. */
const SILENCE_MS = 15 * SIGN_MS;
/** A lock without content is one that is being written, unless it is older. */
const WRITING_MS = 10_000;
const ATTEMPTS = 5;
const RETRY_MS = 20;

/** Another run has the lock. */
class InUse extends IoError {}

interface Held extends Owner {
  /** When it was taken, ISO 8601. */
  readonly since: string;
}

/** Where the lock of something lies that has no inside yet. */
export const lockBeside = (path: string): string => join(dirname(resolve(path)), `.${basename(path)}.ertacache-lock`);

/** Whether a file is a lock beside its output, by its name and by what it holds. */
export async function isLockBeside(file: string): Promise<boolean> {
  if (!/^\..+\.ertacache-lock$/s.test(basename(file))) return false;
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text !== undefined && parse(text) !== undefined;
}

/**
 * Works while no other run does on the same output. The lock of a run that is gone is taken over.
 * @param file the lock, in a folder that is there
 * @param what the output, for the error
 * @param patience how long to wait for it, in milliseconds: for what others hold for a moment only
 * @throws IoError when another run has it: which one, and since when
 */
export async function withLock<T>(file: string, what: string, work: () => Promise<T>, patience = 0): Promise<T> {
  const own = await takeWithin(patience, file, what);
  const timer = setInterval(() => void disk.touch(file).catch(() => {}), SIGN_MS).unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
    // A run that was suspended may have lost it to another.
    if ((await readFile(file, 'utf8').catch(() => undefined)) === own) await disk.unlink(file).catch(() => {});
  }
}

/** @returns what the lock holds */
async function takeWithin(patience: number, file: string, what: string): Promise<string> {
  const end = Date.now() + patience;
  for (;;) {
    try {
      return await take(file, what);
    } catch (error) {
      if (!(error instanceof InUse) || Date.now() > end) throw error;
      await wait(RETRY_MS);
    }
  }
}

async function take(file: string, what: string): Promise<string> {
  const held: Held = { ...self, since: new Date().toISOString() };
  const text = `${JSON.stringify({ format: FORMAT, ...held })}\n`;
  for (const left of await leftovers(file)) await disk.remove(left.path).catch(() => {});
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      await create(file, text);
      return text;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw writeError(what, error);
    }
    await removeDead(file, what);
  }
  throw new InUse(`${what} is in use by other runs of ertacache.`, { hint: 'Wait for them to end.' });
}

/** Makes the lock appear whole, where it is not there yet; a system error with the code EEXIST where it is. */
async function create(file: string, text: string): Promise<void> {
  const staged = stagedName(file, 'new');
  await writeNew(staged, text);
  try {
    await place(staged, file, text);
  } finally {
    await disk.unlink(staged).catch(() => {});
  }
}

/** Gives a lock its name where that is free; a system error with the code EEXIST where it is not. */
async function place(staged: string, file: string, text: string): Promise<void> {
  try {
    await disk.link(staged, file);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw error;
    // Where there are no second names for files, each system says so with another code.
    await writeNew(file, text);
  }
}

/** Removes the lock of a run that is gone. @throws IoError when it is not gone */
async function removeDead(file: string, what: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const info = await stat(file).catch(() => undefined);
  if (text === undefined || !info) return;
  const held = parse(text);
  if (!held && !isBegun(text)) {
    throw new IoError(`${file} is where ertacache keeps a lock, and holds something else.`, {
      hint: 'Move that file, or write elsewhere.',
    });
  }
  if (held ? isRunning(held, info.mtimeMs, SILENCE_MS) : Date.now() - info.mtimeMs < WRITING_MS)
    throw inUse(file, what, held);
  // Aside first: if another run has taken it over meanwhile, what went aside is not what was looked at, and returns.
  const aside = stagedName(file, 'old');
  try {
    await disk.rename(file, aside);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw writeError(what, error);
  }
  const found = await readFile(aside, 'utf8').catch(() => undefined);
  const back = () => (found === undefined ? disk.link(aside, file) : place(aside, file, found));
  if (found !== text) await back().catch(() => {});
  await disk.unlink(aside).catch(() => {});
}

/** How every lock begins. */
const HEAD = `{"format":"${FORMAT}"`;
const isBegun = (text: string): boolean => HEAD.startsWith(text.slice(0, HEAD.length));

function parse(text: string): Held | undefined {
  try {
    const value = JSON.parse(text) as Partial<Held> & { format?: unknown };
    return value.format === FORMAT ? (value as Held) : undefined;
  } catch {
    return undefined;
  }
}

function inUse(file: string, what: string, held: Held | undefined): InUse {
  const who = held ? `process ${held.pid} on ${held.host}, since ${held.since}` : 'it has just begun';
  return new InUse(`${what} is in use by another run of ertacache: ${who}.`, {
    hint: `Wait for it to end, or write elsewhere; if it no longer runs, remove ${file}.`,
  });
}
