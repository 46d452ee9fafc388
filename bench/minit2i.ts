/**
 * A whole picture of MiniT2I at its real size with made-up weights: the real loop, the real text encoder at full size,
 * uncached and with uniform schedules in turns, and what the process takes. Writes 1.2 GB (B/16) and deletes it.
 *
 *   node bench/run.cjs bench/minit2i.ts [--model minit2i-b-16] [--backend native] [--dtype float32] [--threads 2]
 *     [--steps 100] [--computed 50,25,15] [--guidance 2.5] [--runs 1] [--folder /tmp]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { none } from '../src/cache/none';
import { uniform } from '../src/cache/uniform';
import { peakMemory } from '../src/engine/memory';
import { selectBackend } from '../src/engine/select';
import type { BackendRequest } from '../src/engine/types';
import { median } from '../src/metrics/statistics';
import type { ComputeType } from '../src/nn/bfloat16';
import { loadModel } from '../src/pipelines/load';
import { runRequest } from '../src/sampling/run-job';
import { writeMiniT2I } from './minit2i-folder';

const { values: given } = parseArgs({
  options: {
    model: { type: 'string', default: 'minit2i-b-16' },
    backend: { type: 'string', default: 'native' },
    dtype: { type: 'string', default: 'float32' },
    threads: { type: 'string', default: `${availableParallelism()}` },
    steps: { type: 'string', default: '100' },
    computed: { type: 'string', default: '50,25,15' },
    guidance: { type: 'string', default: '2.5' },
    runs: { type: 'string', default: '1' },
    folder: { type: 'string', default: tmpdir() },
  },
});

async function main(): Promise<void> {
  const { label } = await selectBackend(given.backend as BackendRequest, { threads: Number(given.threads) });
  const root = mkdtempSync(join(given.folder as string, 'ertacache-minit2i-'));
  try {
    writeMiniT2I(root, given.model as string);
    const before = peakMemory();
    const model = await loadModel(root, { dtype: given.dtype as ComputeType });
    const [steps, guidance] = [Number(given.steps), Number(given.guidance)];
    const request = { prompts: ['a red fox in the snow'], seeds: [0], steps, guidance };
    const started = performance.now();
    await model.encodePrompts?.(request);
    const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
    console.log(`${given.model} on ${label}, ${given.dtype}, ${steps} steps, guidance ${guidance}`);
    console.log(`text encoded in ${seconds(performance.now() - started)}, process ${gigabytes(peakMemory())} at most`);
    const schedules = (given.computed as string).split(',').map(Number);
    const policies = [none(), ...schedules.map(computed => uniform(steps, computed))];
    const times = policies.map((): number[] => []);
    // What others on the machine do counts less in it.
    const busy = policies.map((): number[] => []);
    for (let run = 0; run < Number(given.runs); run++) {
      for (const [i, policy] of policies.entries()) {
        const began = process.cpuUsage();
        times[i]!.push((await runRequest(model, request, policy)).seconds);
        const { user, system } = process.cpuUsage(began);
        busy[i]!.push((user + system) / 1e6);
      }
    }
    const [whole, wholeBusy] = [median(times[0]!), median(busy[0]!)];
    for (const [i, all] of times.entries()) {
      const computed = i === 0 ? steps : schedules[i - 1]!;
      const faster =
        `${(whole / median(all)).toFixed(2)} times as fast, ${(wholeBusy / median(busy[i]!)).toFixed(2)} in processor time, ` +
        `${(steps / computed).toFixed(2)} would be free reuse`;
      console.log(`${computed} of ${steps} forwards: ${seconds(1000 * median(all))}${i === 0 ? '' : `, ${faster}`}`);
    }
    console.log(`process ${gigabytes(peakMemory())} at most, ${gigabytes(before)} before the model`);
    model.dispose();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

main().catch(error => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
