/**
 * Wan2.1's autoencoder at its full size, made-up weights: memory and time of decoding one clip, in tiles unless told.
 *
 *   node bench/run.cjs bench/wan-vae.ts [--size 480x832] [--frames 17] [--whole] [--backend native]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { formatBytes, peakMemory } from '../src/engine/memory';
import { selectBackend } from '../src/engine/select';
import type { BackendRequest } from '../src/engine/types';
import { encoderOnly } from '../src/models/autoencoders';
import { createWanVae, wanVaeConfig, wanVaeParameters } from '../src/models/wan/autoencoder';
import { torchGenerator } from '../src/random/torch-generator';
import { openModelFolderAt } from '../src/weights/disk';
import { loadStore } from '../src/weights/load';
import { writeModel } from './synthetic-checkpoint';

const { values: given } = parseArgs({
  options: {
    size: { type: 'string', default: '480x832' },
    frames: { type: 'string', default: '17' },
    whole: { type: 'boolean', default: false },
    backend: { type: 'string', default: 'native' },
  },
});

const BOUND = 8e9;

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ertacache-wan-vae-'));
  try {
    const config = wanVaeConfig.parse({ _class_name: 'AutoencoderKLWan' });
    writeModel(folder, config, wanVaeParameters(config));
    console.log((await selectBackend(given.backend as BackendRequest)).label);

    const { source } = await openModelFolderAt(folder);
    const table = wanVaeParameters(config).filter(({ name }) => !encoderOnly.test(name));
    const store = await loadStore(source, table, { ignore: [encoderOnly] });
    await source.close();
    const vae = createWanVae(config, store);
    const [height, width] = (given.size as string).split('x').map(Number) as [number, number];
    const frames = Number(given.frames);
    const shape = [1, ...vae.latentShape({ frames, height, width })];
    const latents = tf.tensor(torchGenerator(0).normal(shape), shape);
    const loaded = peakMemory();

    const started = performance.now();
    const cpuBefore = process.cpuUsage();
    const pixels = await vae.decode(latents, {
      tiling: !given.whole,
      onChunk: ({ done, total }) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${total} frames of tiles `);
      },
    });
    const values = await pixels.data<'float32'>();
    const seconds = (performance.now() - started) / 1000;
    if (!values.every(Number.isFinite)) throw new Error('the pixels are not finite');
    const cpu = process.cpuUsage(cpuBefore);
    const most = peakMemory();
    console.log(
      `${width} × ${height}, ${frames} frames, ${given.whole ? 'whole' : 'in tiles'}: ${seconds.toFixed(1)} s, ` +
        `${((cpu.user + cpu.system) / 1e6).toFixed(0)} s of processor time`,
    );
    console.log(
      `most memory in use: ${formatBytes(most)}, before decoding ${formatBytes(loaded)} ` +
        `(${most < BOUND ? 'under' : 'over'} ${formatBytes(BOUND)})`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
