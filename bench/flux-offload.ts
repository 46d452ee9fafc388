/**
 * One forward pass of FLUX.1-dev at its full size, made-up weights, blocks left on disk: memory and read rate.
 * Writes 23.8 GB of float16, or 6.7 GB of Q4_0 with --gguf, and deletes them afterwards.
 * --lora RANK also brings in every block with a LoRA merged on every matrix of it.
 *
 * --blocks N is for a model of so many blocks of each kind.
 *
 *   node bench/run.cjs bench/flux-offload.ts [--gguf] [--blocks N] [--lora 16] [--folder DIR] [--size 256x256] [--text-tokens 64] [--keep]
 */
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatBytes, peakMemory } from '../src/engine/memory';
import { selectBackend } from '../src/engine/select';
import { diskFolder } from '../src/io/disk-folder';
import { syntheticCondition, syntheticLatents } from '../src/lab/timing/synthetic-job';
import { familyOf } from '../src/models/families';
import { loadDenoiser } from '../src/models/load-denoiser';
import { preset } from '../src/models/presets';
import { workload } from '../src/models/workload-of';
import { forward } from '../src/transformer/run';
import { openModelFileAt, openModelFolderAt } from '../src/weights/disk';
import type { WeightStore } from '../src/weights/parameters';
import { directRate, forgetCached, parallelRate, watchReads } from './disk';
import { writeCheckpoint, writeGguf } from './synthetic-checkpoint';
import { writeLora } from './synthetic-lora';

const { values: given } = parseArgs({
  options: {
    folder: { type: 'string', default: join(tmpdir(), 'ertacache-flux-dev') },
    size: { type: 'string', default: '256x256' },
    'text-tokens': { type: 'string', default: '64' },
    gguf: { type: 'boolean', default: false },
    lora: { type: 'string' },
    blocks: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

/** How much is read at most to learn what the disk gives, of a file several times as long. */
const PROBE = 2 ** 31;

const rate = (bytesPerSecond: number): string => `${(bytesPerSecond / 1e9).toFixed(2)} GB/s`;
const seconds = (since: number): number => (performance.now() - since) / 1000;

const GGUF = 'flux-dev-Q4_0.gguf';
const LORA = 'lora.safetensors';

function writeQuantised(folder: string, config: { readonly _class_name: string }): number {
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return writeGguf(join(folder, GGUF), config);
}

/** What the disk gives: the best of one direct reader and of parallel reads of a part that nothing has in memory. */
async function diskRate(path: string, begin: number, length: number): Promise<number> {
  forgetCached(path);
  const rates = {
    'one direct reader': directRate(path, length),
    'parallel reads through the page cache': await parallelRate(path, begin, length, false),
    'parallel reads past it': await parallelRate(path, begin + length, length, true),
  };
  const texts = Object.entries(rates).map(([name, bytesPerSecond]) => `${rate(bytesPerSecond)} to ${name}`);
  console.log(`the disk gives ${texts.join(', ')}`);
  forgetCached(path);
  return Math.max(...Object.values(rates));
}

/** Brings in every block, once, as a forward pass does, and computes nothing with it: the rate of the store itself. */
async function streamBlocks(store: WeightStore, blocks: readonly string[]) {
  const endWatch = watchReads();
  const [started, began] = [performance.now(), process.cpuUsage()];
  for (const [i, block] of blocks.entries()) await store.use(block, () => undefined, blocks[i + 1]);
  const took = seconds(started);
  const { bytes } = await endWatch();
  const { user, system } = process.cpuUsage(began);
  return { bytes, seconds: took, rate: bytes / took, busy: (user + system) / 1e6 };
}

/** The same with a LoRA that is merged into every matrix of every block. */
async function streamMerged(folder: string, path: string, rank: number) {
  const component = given.gguf ? await openModelFileAt(path) : await openModelFolderAt(folder);
  const known = familyOf(component.className);
  const parsed = known.schema.parse(component.config);
  const blocks = known.blockNames(parsed);
  writeLora(join(folder, LORA), known.parameters(parsed), blocks, rank);
  const loras = [{ folder: diskFolder(folder), file: LORA, scale: 0.8 }];
  const { denoiser } = await loadDenoiser(component, { offload: true, loras });
  forgetCached(path);
  const streamed = await streamBlocks(denoiser.weights, blocks);
  denoiser.weights.dispose();
  return streamed;
}

async function main(): Promise<void> {
  const count = given.blocks === undefined ? undefined : Number(given.blocks);
  const { transformer } = preset('flux-dev');
  const config = { ...transformer, ...(count && { num_layers: count, num_single_layers: count }) };
  const folder = given.folder as string;
  const isNew = !existsSync(join(folder, 'config.json'));
  try {
    if (isNew) {
      mkdirSync(folder, { recursive: true });
      const started = performance.now();
      const bytes = given.gguf ? writeQuantised(folder, config) : writeCheckpoint(folder, config).bytes;
      console.log(`wrote ${formatBytes(bytes)} in ${seconds(started).toFixed(0)} s`);
    }
    const path = join(folder, given.gguf ? GGUF : 'diffusion_pytorch_model.safetensors');
    const size = statSync(path).size;
    const probe = Math.min(PROBE, 2 ** 28 * Math.floor(size / 2 ** 30));
    // First, as large pages come with it.
    console.log((await selectBackend('native')).label);
    const before = await diskRate(path, Math.floor(size / 2), probe);
    const component = given.gguf ? await openModelFileAt(path) : await openModelFolderAt(folder);
    const loadStarted = performance.now();
    const { denoiser, className, config: parsed, parameters, bytes } = await loadDenoiser(component, { offload: true });
    console.log(
      `${parameters.toLocaleString('en-US')} parameters; what stays in memory was loaded in ${seconds(loadStarted).toFixed(1)} s; ` +
        `weights and buffers take ${formatBytes(bytes)}`,
    );

    const [height, width] = (given.size as string).split('x').map(Number);
    const work = workload(className, parsed, { height, width, textTokens: Number(given['text-tokens']) });
    const inputs = { className, config: parsed, work };
    const [condition, latent] = [syntheticCondition(inputs, [1]), syntheticLatents(inputs, [1])];
    const context = denoiser.prepare(condition, latent.shape);

    const endWatch = watchReads();
    const [started, began] = [performance.now(), process.cpuUsage()];
    const output = await forward(denoiser, latent, 500, context);
    const values = await output.data<'float32'>();
    const took = seconds(started);
    const { user, system } = process.cpuUsage(began);
    const { bytes: read, activeSeconds } = await endWatch();
    if (!values.every(Number.isFinite)) throw new Error('the output is not finite');
    forgetCached(path);
    const streamed = await streamBlocks(denoiser.weights, familyOf(className).blockNames(parsed));
    denoiser.weights.dispose();
    const merged = given.lora && (await streamMerged(folder, path, Number(given.lora)));

    const after = await diskRate(path, Math.floor(size / 4), probe);
    const disk = (before + after) / 2;
    const [overall, active] = [read / took, read / activeSeconds];
    // A small file tells nothing of the disk.
    const share = (bytesPerSecond: number): string =>
      disk > 0 ? `${Math.round((100 * bytesPerSecond) / disk)} %` : '?';
    console.log(
      `one forward pass of ${work.tokens} image and ${work.textTokens} text tokens: ${took.toFixed(1)} s; processor time ${((user + system) / 1e6).toFixed(1)} s`,
    );
    console.log(
      `read ${formatBytes(read)}: ${rate(overall)} over the whole pass, ${share(overall)} of what the disk gives`,
    );
    console.log(
      `blocks alone, nothing computed: ${formatBytes(streamed.bytes)} in ${streamed.seconds.toFixed(1)} s, ` +
        `${rate(streamed.rate)}, ${share(streamed.rate)} of what the disk gives; processor time ${streamed.busy.toFixed(1)} s`,
    );
    console.log(`  ${rate(active)} while reading (${activeSeconds.toFixed(1)} s), ${share(active)}`);
    if (merged) {
      const of = (part: 'seconds' | 'busy'): string => `${(merged[part] / streamed[part]).toFixed(2)} of it`;
      console.log(
        `the same with a LoRA of rank ${given.lora}: ${merged.seconds.toFixed(1)} s, ${of('seconds')}; ` +
          `processor time ${merged.busy.toFixed(1)} s, ${of('busy')}`,
      );
    }
    console.log(`most memory in use: ${formatBytes(peakMemory())}`);
  } finally {
    if (isNew && !given.keep) rmSync(folder, { recursive: true, force: true });
  }
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
