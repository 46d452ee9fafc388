import { spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { PAGE, pageAlignedBytes } from '../src/io/aligned';
import { openFile } from '../src/io/node-file';

/**
 * Makes the system forget what it keeps of a file in memory, so that it has to be read from disk again. Coreutils' dd
 * asks for it with `posix_fadvise`, which Node cannot call; nothing else on the machine is touched.
 */
export function forgetCached(path: string): void {
  const { status } = spawnSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0']);
  if (status !== 0) throw new Error(`dd could not drop ${path} from the page cache`);
}

/** Bytes a second that the disk gives to one reader past the page cache (O_DIRECT). */
export function directRate(path: string, bytes: number): number {
  const block = 2 ** 23;
  const started = performance.now();
  const { status } = spawnSync('dd', [
    `if=${path}`,
    'of=/dev/null',
    'iflag=direct',
    `bs=${block}`,
    `count=${bytes / block}`,
  ]);
  if (status !== 0) throw new Error(`dd could not read ${path}`);
  return (1000 * bytes) / (performance.now() - started);
}

/**
 * Bytes a second of ranges that are read in parallel, through the page cache, which must be cold, or past it: into pages
 * as large as the system gives, which is all that a disk can do here.
 */
export async function parallelRate(path: string, begin: number, bytes: number, pastCache: boolean): Promise<number> {
  const file = await openFile(path);
  if (pastCache) file.bypassCache();
  const buffer = pageAlignedBytes(2 ** 28);
  // Written to once, so that no page is made while the disk is timed.
  buffer.fill(1);
  const from = Math.floor(begin / PAGE) * PAGE;
  const started = performance.now();
  for (let at = 0; at < bytes; at += buffer.length) await file.readInto(from + at, buffer);
  const seconds = (performance.now() - started) / 1000;
  await file.close();
  return bytes / seconds;
}

export interface ReadLog {
  /** Bytes that this process has asked the system for. */
  readonly bytes: number;
  /** Time in which some of them came. */
  readonly activeSeconds: number;
}

/** Longer than one read takes, or a pause between two would be no time; what is longer counts pauses between blocks. */
const INTERVAL_MS = 10;

/**
 * Watches from another thread what this process reads, since the main thread cannot see reads end while it computes.
 * @returns ends the watch
 */
export function watchReads(): () => Promise<ReadLog> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const { readFileSync } = require('node:fs');
     const now = () => Number(/rchar: (\\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))[1]);
     const first = now();
     let [last, at, active] = [first, performance.now(), 0];
     const look = () => {
       const [bytes, time] = [now(), performance.now()];
       if (bytes - last > 65536) active += time - at;
       [last, at] = [bytes, time];
     };
     const timer = setInterval(look, ${INTERVAL_MS});
     parentPort.on('message', () => {
       look();
       clearInterval(timer);
       parentPort.postMessage({ bytes: last - first, activeSeconds: active / 1000 });
       parentPort.close();
     });`,
    { eval: true },
  );
  return () =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
      worker.postMessage('end');
    });
}
