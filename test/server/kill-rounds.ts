/*
 * A server under load that is killed again and again, or its workers are: what it had accepted must not be lost.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import sharp from 'sharp';
import { isStagedName } from '../../src/io/staged';
import { sidecarPath } from '../../src/media/receipt';
import { receiptFromXmp } from '../../src/media/xmp';
import { jobSchema } from '../../src/server/jobs/job';

/** What is done to whom. */
export interface KillOptions {
  /** The command that starts a server on `data`, and says on stderr where it listens. */
  readonly command: readonly string[];
  /** The server's data folder. */
  readonly data: string;
  readonly kills: number;
  /** Numbers from 0 to 1. */
  readonly chance: () => number;
  /** What jobs ask for, in turns. */
  readonly asked: readonly object[];
  /** The longest time from one kill to the next, in milliseconds. */
  readonly most: number;
}

/** What came of it. */
export interface KillOutcome {
  readonly accepted: number;
  readonly completed: number;
  /** Reasons of those that were not completed, with their numbers. */
  readonly failed: Readonly<Record<string, number>>;
  /** What must not be; empty where all is well. */
  readonly faults: readonly string[];
}

interface Served {
  readonly child: ChildProcess;
  readonly url: string;
}

async function served([program, ...args]: readonly string[]): Promise<Served> {
  const child = spawn(program as string, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  let url: string | undefined;
  child.stderr.on('data', text => {
    said += text;
    url ??= /listening on (\S+)/.exec(said)?.[1];
  });
  while (url === undefined) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`The server ended: ${said}`);
    await wait(10);
  }
  return { child, url };
}

/** Workers of a server: its children. */
function workersOf({ pid }: ChildProcess): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** Kills in turns the server and one of its workers, at random moments, while jobs are sent; then waits for all jobs. */
export async function killRounds(options: KillOptions): Promise<KillOutcome> {
  const { command, data, kills, chance, asked, most } = options;
  const accepted: string[] = [];
  let now = await served(command);
  let isSending = true;
  let number = 0;
  const sending = (async () => {
    while (isSending) {
      const id = `job-of-kills-${number++}`;
      const body = JSON.stringify({ id, prompt: 'red heart', seed: number, ...asked[number % asked.length] });
      const headers = { 'content-type': 'application/json' };
      // Without an answer nothing was accepted, whatever has become of it.
      const answer = await fetch(`${now.url}/v1/jobs`, { method: 'POST', headers, body }).catch(() => undefined);
      if (answer?.ok) accepted.push(id);
      await answer?.arrayBuffer().catch(() => {});
      await wait(20 + 80 * chance());
    }
  })();
  for (let kill = 0; kill < kills; kill++) {
    await wait(most * chance());
    const workers = kill % 2 === 1 ? workersOf(now.child) : [];
    if (workers.length > 0) {
      process.kill(workers[Math.floor(chance() * workers.length)] as number, 'SIGKILL');
    } else {
      now.child.kill('SIGKILL');
      await once(now.child, 'exit');
      now = await served(command);
    }
  }
  isSending = false;
  await sending;

  const faults: string[] = [];
  const failed: Record<string, number> = {};
  let completed = 0;
  for (const id of accepted) {
    const job = await over(now.url, id);
    if (!job) faults.push(`${id} was accepted and is lost`);
    else if (job.status === 'completed') completed++;
    else if (job.status === 'failed' && job.error) failed[job.error.code] = (failed[job.error.code] ?? 0) + 1;
    else faults.push(`${id} is ${job.status} without a reason`);
  }
  now.child.kill('SIGTERM');
  await once(now.child, 'exit');
  faults.push(...(await faultsIn(data)));
  return { accepted: accepted.length, completed, failed, faults };
}

interface Told {
  readonly status: string;
  readonly error: { readonly code: string } | null;
}

async function over(url: string, id: string): Promise<Told | undefined> {
  for (;;) {
    const answer = await fetch(`${url}/v1/jobs/${id}`);
    if (answer.status === 404) return undefined;
    const job = (await answer.json()) as Told;
    if (job.status !== 'queued' && job.status !== 'in_progress') return job;
    await wait(50);
  }
}

/** Every file of a data folder that is not whole. */
async function faultsIn(data: string): Promise<string[]> {
  const faults: string[] = [];
  const home = join(data, 'jobs');
  for (const key of readdirSync(home)) {
    const names = readdirSync(join(home, key)).filter(name => !isStagedName(name));
    const job = jobSchema.safeParse(JSON.parse(readFileSync(join(home, key, 'job.json'), 'utf8')));
    if (!job.success) faults.push(`${key}: job.json is not whole`);
    for (const name of names.filter(each => each !== 'job.json')) {
      const receipt = (await receiptOfWhole(join(home, key, name))) as { seed?: unknown } | undefined;
      if (receipt?.seed !== job.data?.order.request.seed) faults.push(`${key}: ${name} has another receipt`);
    }
    const file = `0.${job.data?.order.output.format}`;
    if (job.data?.status === 'completed' && !names.includes(file)) faults.push(`${key} is completed without a file`);
  }
  return faults;
}

/** Reads all of a file, and its receipt. */
async function receiptOfWhole(path: string): Promise<unknown> {
  if (path.endsWith('.json')) return JSON.parse(readFileSync(path, 'utf8'));
  if (path.endsWith('.mp4')) {
    const boxes = boxesOf(readFileSync(path));
    if (!boxes.includes('moov') || !boxes.includes('mdat')) throw new Error(`${path} has only ${boxes}`);
    return existsSync(sidecarPath(path)) ? receiptOfWhole(sidecarPath(path)) : undefined;
  }
  const { xmp } = await sharp(path).metadata();
  await sharp(path, { pages: -1, limitInputPixels: false }).raw().toBuffer();
  return receiptFromXmp(xmp?.toString() ?? '');
}

/** Names of the boxes of an MP4 file, which end where it ends. */
function boxesOf(bytes: Buffer): string[] {
  const names: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    names.push(bytes.toString('latin1', at + 4, at + 8));
    at += bytes.readUInt32BE(at);
  }
  if (at !== bytes.length) throw new Error(`a box ends at ${at} of ${bytes.length} bytes`);
  return names;
}
