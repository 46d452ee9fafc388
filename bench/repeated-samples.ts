/**
 * Draws with the embedded model again and again, and prints ten times along the way the resident size of the process
 * and the number of tensors, with a bar for each: neither may grow. With --faults two of three runs end early: one is
 * stopped by its signal, one by a callback that fails.
 *
 *   node bench/run.cjs bench/repeated-samples.ts [--backend native] [--samples 100] [--steps 30] [--faults]
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { draw } from '../src/draw/draw';
import { formatBytes } from '../src/engine/memory';
import { selectBackend } from '../src/engine/select';
import type { BackendRequest } from '../src/engine/types';
import { median } from '../src/metrics/statistics';
import { loadModel } from '../src/pipelines/load';
import { policiesOnDisk } from '../src/policy/on-disk';

const { values: given } = parseArgs({
  options: {
    backend: { type: 'string', default: 'native' },
    samples: { type: 'string', default: '100' },
    steps: { type: 'string', default: '30' },
    faults: { type: 'boolean', default: false },
  },
});

const EVERY = Math.max(1, Math.floor(Number(given.samples) / 10));
/** What the allocator and the garbage collector may differ by from one sample to another. */
const SLACK = 64e6;

/** How the sample of this number ends: whole, stopped, or by a callback that fails. */
function endingOf(i: number): { signal?: AbortSignal; onStep?: () => void } {
  if (!given.faults || i % 3 === 0) return {};
  const stop = new AbortController();
  const onStep = (): void => {
    if (i % 3 === 1) stop.abort();
    else throw new Error('on purpose');
  };
  return { signal: stop.signal, onStep };
}

async function main(): Promise<void> {
  console.log((await selectBackend(given.backend as BackendRequest)).label);
  const model = await loadModel();
  const sizes: number[] = [];
  const counts: number[] = [];
  const seconds: number[] = [];
  for (let i = 1; i <= Number(given.samples); i++) {
    const started = performance.now();
    const ending = endingOf(i);
    const request = { prompt: 'red heart', seed: i, steps: Number(given.steps) };
    const work = draw(request, { model, policies: policiesOnDisk, ...ending });
    await (ending.onStep ? work.catch(() => undefined) : work);
    seconds.push((performance.now() - started) / 1000);
    if (i % EVERY !== 0) continue;
    sizes.push(process.memoryUsage.rss());
    counts.push(tf.memory().numTensors);
    const bar = '#'.repeat(Math.round((sizes.at(-1) as number) / 20e6));
    console.log(`${String(i).padStart(4)}  ${counts.at(-1)} tensors  ${formatBytes(sizes.at(-1) as number)} ${bar}`);
  }
  // The first samples fill caches that stay.
  const half = sizes.slice(Math.floor(sizes.length / 2));
  const grown = Math.max(...half) - (sizes[Math.floor(sizes.length / 2)] as number);
  const isFlat = new Set(counts).size <= 1 && grown < SLACK;
  console.log(`a sample takes ${median(seconds).toFixed(2)} s (median)`);
  console.log(`second half: ${formatBytes(Math.max(0, grown))} more at most, ${isFlat ? 'flat' : 'GROWS'}`);
  if (!isFlat) process.exitCode = 1;
  model.dispose();
}

main().catch(error => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
