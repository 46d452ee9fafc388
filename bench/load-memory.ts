/**
 * Loads a published model of made-up weights from disk, runs it once, and compares the memory with what is promised:
 * 1.15 × the weights as they are held + 512 MB. Writes the model as float16 and deletes it afterwards.
 *
 *   node bench/run.cjs bench/load-memory.ts --model wan2.1-t2v-1.3b [--size 256x512] [--frames 1] [--folder DIR]
 *     [--dtype float32]
 */
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatBytes, peakMemory } from '../src/engine/memory';
import { selectBackend } from '../src/engine/select';
import type { BackendRequest } from '../src/engine/types';
import { syntheticCondition, syntheticLatents } from '../src/lab/timing/synthetic-job';
import { loadDenoiser } from '../src/models/load-denoiser';
import { preset } from '../src/models/presets';
import { workload } from '../src/models/workload-of';
import { type ComputeType, computeTypes } from '../src/nn/bfloat16';
import { forward } from '../src/transformer/run';
import { openModelFolderAt } from '../src/weights/disk';
import { forgetCached } from './disk';
import { writeCheckpoint } from './synthetic-checkpoint';

const { values: given } = parseArgs({
  options: {
    model: { type: 'string', default: 'wan2.1-t2v-1.3b' },
    backend: { type: 'string', default: 'native' },
    size: { type: 'string', default: '256x512' },
    dtype: { type: 'string', default: 'float32' },
    frames: { type: 'string', default: '1' },
    folder: { type: 'string', default: tmpdir() },
  },
});

const dtype = given.dtype as ComputeType;
if (!computeTypes.includes(dtype)) throw new Error(`--dtype ${dtype}: it is one of ${computeTypes.join(', ')}.`);

async function main(): Promise<void> {
  const { transformer } = preset(given.model as string);
  const folder = join(given.folder as string, `ertacache-${given.model}`);
  mkdirSync(folder, { recursive: true });
  try {
    const { path } = writeCheckpoint(folder, transformer);
    forgetCached(path);
    console.log((await selectBackend(given.backend as BackendRequest)).label);
    console.log(`the process alone: ${formatBytes(peakMemory())}`);

    const component = await openModelFolderAt(folder);
    const started = performance.now();
    const { denoiser, className, config, parameters, bytes } = await loadDenoiser(component, { dtype });
    const took = (performance.now() - started) / 1000;
    await component.source.close();
    const bound = 1.15 * bytes + 512e6;
    const loaded = peakMemory();

    const [height, width] = (given.size as string).split('x').map(Number);
    const work = workload(className, config, { height, width, frames: Number(given.frames) });
    const inputs = { className, config, work };
    const [condition, latent] = [syntheticCondition(inputs, [1]), syntheticLatents(inputs, [1])];
    const output = await forward(denoiser, latent, 500, denoiser.prepare(condition, latent.shape));
    if (!(await output.data<'float32'>()).every(Number.isFinite)) throw new Error('the output is not finite');

    const verdict = (bytes: number): string =>
      `${formatBytes(bytes)} (${bytes <= bound ? 'within' : 'over'} the bound)`;
    console.log(`${given.model}: ${parameters.toLocaleString('en-US')} parameters, ${formatBytes(bytes)} as ${dtype}`);
    console.log(`promised: at most ${formatBytes(bound)}`);
    console.log(`loaded in ${took.toFixed(1)} s: ${verdict(loaded)}`);
    console.log(`after a forward pass of ${work.tokens} tokens: ${verdict(peakMemory())}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
