/**
 * What merging a LoRA adds to loading a transformer: made-up weights at full width, a LoRA on every matrix of every
 * block, loaded in turns with it and without.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../src/engine/select';
import { diskFolder } from '../src/io/disk-folder';
import { familyOf } from '../src/models/families';
import { loadDenoiser } from '../src/models/load-denoiser';
import { preset } from '../src/models/presets';
import { openModelFolderAt } from '../src/weights/disk';
import type { LoraFile } from '../src/weights/lora/adapter';
import { writeCheckpoint } from './synthetic-checkpoint';
import { writeLora } from './synthetic-lora';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'flux-dev' },
    blocks: { type: 'string', default: '1' },
    rank: { type: 'string', default: '16' },
    runs: { type: 'string', default: '5' },
    dtype: { type: 'string', default: 'float32' },
    backend: { type: 'string', default: 'native' },
    folder: { type: 'string', default: tmpdir() },
    offload: { type: 'boolean', default: false },
    threads: { type: 'string', default: '2' },
  },
});

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]!;

async function main(): Promise<void> {
  const engine = await selectBackend(values.backend as 'native' | 'wasm', { threads: Number(values.threads) });
  const { transformer } = preset(values.model);
  const count = Number(values.blocks);
  const config = {
    ...transformer,
    num_layers: count,
    ...('num_single_layers' in transformer && { num_single_layers: count }),
  } as { _class_name: string };
  const folder = mkdtempSync(join(values.folder, 'ertacache-lora-'));
  try {
    const { bytes } = writeCheckpoint(folder, config);
    const known = familyOf(config._class_name);
    const parsed = known.schema.parse(config);
    const [table, blocks] = [known.parameters(parsed), known.blockNames(parsed)];
    const held = writeLora(join(folder, 'lora.safetensors'), table, blocks, Number(values.rank));
    const lora: LoraFile = { folder: diskFolder(folder), file: 'lora.safetensors', scale: 0.8 };
    const dtype = values.dtype as 'float32' | 'bfloat16';
    const load = async (loras: readonly LoraFile[]): Promise<number> => {
      const component = await openModelFolderAt(folder);
      const began = process.cpuUsage();
      const { denoiser } = await loadDenoiser(component, { dtype, loras, offload: values.offload });
      // Streamed blocks are read when they are used.
      if (values.offload) for (const block of blocks) await denoiser.weights.use(block, () => undefined);
      // Processor time, of all threads: machines have other work to do.
      const { user, system } = process.cpuUsage(began);
      const took = (user + system) / 1000;
      denoiser.weights.dispose();
      if (!values.offload) await component.source.close();
      return took;
    };
    await load([]);
    const [without, merged]: [number[], number[]] = [[], []];
    for (let run = 0; run < Number(values.runs); run++) {
      without.push(await load([]));
      merged.push(await load([lora]));
    }
    const [a, b] = [median(without), median(merged)];
    console.log(
      `${values.model}, ${blocks.length} blocks (${(bytes / 1e9).toFixed(2)} GB of float16), rank ${values.rank} (${(held / 1e6).toFixed(0)} MB), ` +
        `${dtype}${values.offload ? ', streamed' : ''}, ${engine.label}: ${a.toFixed(0)} ms of processor time, with the LoRA ${b.toFixed(0)} ms (${(b / a).toFixed(2)} of it); ` +
        `${tf.memory().numTensors} tensors left`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

void main();
