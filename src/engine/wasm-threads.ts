import { existsSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import workerThreads, { type WorkerOptions } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { EngineError } from '../errors';

/** Threads that tfjs's module is built to start at once. */
const MOST_THREADS = 8;

const SCRIPT = join(__dirname, 'wasm-thread.cjs');

/** Stands in for Node's own while the module starts its threads: runs our script whatever blob it names. */
class FileWorker extends workerThreads.Worker {
  constructor(_address: string | URL, options?: WorkerOptions) {
    super(SCRIPT, options);
  }
  // A thread that waits for work would keep the process alive when everything is done.
  override ref(): void {}
}

/**
 * Starts tfjs's WebAssembly backend with `threads` threads, in Node. tfjs can do this in browsers only: there it starts
 * its workers from blobs, and counts half of the processor's threads. Both are corrected while it starts.
 * @throws EngineError for more threads than it has, and when it has been started before with another number
 */
export async function startWasm(threads: number): Promise<void> {
  const { setThreadsCount, getThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
  if (threads > MOST_THREADS) {
    throw new EngineError(`WebAssembly runs ${MOST_THREADS} threads at most; ${threads} were asked for.`, {
      hint: `Ask for at most ${MOST_THREADS} threads, or leave the number out.`,
    });
  }
  if (threads > 1 && !existsSync(SCRIPT)) throw new EngineError(`The script of its threads is missing (${SCRIPT}).`);
  const { cpus } = os;
  const { Worker } = workerThreads;
  try {
    if (threads > 1) {
      os.cpus = () => Array.from({ length: 2 * threads }, () => cpus()[0] as os.CpuInfo);
      workerThreads.Worker = FileWorker as typeof Worker;
      tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', true);
      setThreadsCount(threads);
    }
    if (!(await tf.setBackend('wasm'))) throw new EngineError("tfjs could not start its backend 'wasm'.");
  } finally {
    os.cpus = cpus;
    workerThreads.Worker = Worker;
  }
  if (getThreadsCount() !== threads) {
    throw new EngineError(`WebAssembly was started with a thread count of ${getThreadsCount()}, not ${threads}.`);
  }
}
