/**
 * The same blocks, weights and inputs in ertacache and in PyTorch (diffusers' own classes), one after the other in
 * turns: medians, their ratio with an interval, and how far the results lie apart. It waits for a quiet machine. `--dtype bfloat16` is for both sides: PyTorch
 * holds everything in it, ertacache the matrices of the blocks. Writes a model of up to 1 GB and deletes it.
 *
 *   node bench/run.cjs bench/vs-pytorch/index.ts --python PATH [--case wan-1k,flux] [--backend native] [--runs 7]
 *     [--threads 2] [--dtype float32] [--patience SECONDS] [--json]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../../src/engine/select';
import type { BackendRequest } from '../../src/engine/types';
import { openFile } from '../../src/io/node-file';
import { syntheticCondition, syntheticLatents } from '../../src/lab/timing/synthetic-job';
import { median } from '../../src/metrics/statistics';
import { loadDenoiser } from '../../src/models/load-denoiser';
import { workload } from '../../src/models/workload-of';
import { type ComputeType, computeTypes } from '../../src/nn/bfloat16';
import { release } from '../../src/nn/scope';
import { settle } from '../../src/nn/settle';
import type { Denoiser, Stream } from '../../src/transformer/denoiser';
import { forward, runBlocks } from '../../src/transformer/run';
import { openModelFolderAt } from '../../src/weights/disk';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import { inTurns, type Middle, ratio } from '../measure/turns';
import { writeCheckpoint } from '../synthetic-checkpoint';
import { referenceArguments } from './arguments';
import { type Case, cases } from './cases';
import { type Reference, startReference } from './worker';

const TIMESTEP = 500;

const { values: given } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    case: { type: 'string', default: cases.map(({ name }) => name).join(',') },
    backend: { type: 'string', default: 'native' },
    runs: { type: 'string', default: '7' },
    patience: { type: 'string', default: '60' },
    threads: { type: 'string', default: `${availableParallelism()}` },
    dtype: { type: 'string', default: 'float32' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});

const dtype = given.dtype as ComputeType;
if (!computeTypes.includes(dtype)) throw new Error(`--dtype ${dtype}: it is one of ${computeTypes.join(', ')}.`);

export interface Result {
  readonly case: string;
  readonly part: string;
  readonly tokens: number;
  readonly seconds: { readonly ours: number; readonly pytorch: number };
  /** Ours by PyTorch's; below 1 is faster. */
  readonly ratio: Middle;
  /** Largest difference by the largest value. */
  readonly difference: number;
  /** Cores that others kept busy meanwhile, and whether that spoils the figures. */
  readonly load: number;
  readonly busy: boolean;
}

async function main(): Promise<void> {
  const names = (given.case as string).split(',');
  const unknown = names.filter(name => cases.every(c => c.name !== name));
  if (unknown.length > 0) throw new Error(`No case ${unknown}; there are ${cases.map(c => c.name).join(', ')}.`);
  const { label } = await selectBackend(
    given.backend as BackendRequest,
    given.backend === 'wasm' ? { threads: Number(given.threads) } : {},
  );
  const reference = startReference(given.python as string);
  const folder = mkdtempSync(join(given.folder as string, 'ertacache-vs-pytorch-'));
  const results: Result[] = [];
  try {
    for (const name of names) {
      for await (const result of compare(cases.find(c => c.name === name)!, reference, folder)) {
        results.push(result);
        if (!given.json) console.log(line(result));
      }
    }
    if (given.json) console.log(JSON.stringify({ backend: label, dtype, results }, null, 2));
  } finally {
    reference.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function* compare(what: Case, reference: Reference, root: string): AsyncGenerator<Result> {
  const folder = join(root, what.name);
  mkdirSync(folder);
  writeCheckpoint(folder, what.config);
  const component = await openModelFolderAt(folder);
  const { denoiser, className, config } = await loadDenoiser(component, { dtype });
  await component.source.close();
  const work = workload(className, config, what.demand);
  const seeds = Array.from({ length: what.batch ?? 1 }, (_, i) => i + 1);
  const inputs = { className, config, work };
  const [condition, latent] = [syntheticCondition(inputs, seeds), syntheticLatents(inputs, seeds)];
  const context = denoiser.prepare(condition, latent.shape);
  const file = join(folder, 'inputs.safetensors');
  writeFileSync(file, referenceArguments(className, { ...condition }, { ...(context as object) }, latent, TIMESTEP));
  try {
    await reference.ask({
      do: 'load',
      folder,
      inputs: file,
      blocks: Object.values(what.parts).flat(),
      dtype,
      threads: Number(given.threads),
    });
    rmSync(join(folder, 'diffusion_pytorch_model.safetensors'));
    for (const [part, blocks] of Object.entries(what.parts)) {
      const ours = await ourRun(denoiser, latent, context, blocks);
      const turns = await inTurns(
        [
          async () => {
            const started = performance.now();
            const output = await ours.run();
            await settle(output);
            const took = (performance.now() - started) / 1000;
            output.dispose();
            return took;
          },
          async () => (await reference.ask<{ seconds: number }>({ do: 'time', blocks })).seconds,
        ],
        { runs: Number(given.runs), patience: Number(given.patience) },
      );
      const outputFile = join(folder, 'output.safetensors');
      await reference.ask({ do: 'output', blocks, file: outputFile });
      const output = await ours.run();
      const difference = await distance(output, outputFile);
      output.dispose();
      ours.release();
      yield {
        case: what.name,
        part,
        tokens: work.tokens,
        seconds: { ours: median(turns.seconds[0]!), pytorch: median(turns.seconds[1]!) },
        ratio: ratio(turns, 0, 1),
        difference,
        load: turns.load,
        busy: turns.busy,
      };
    }
  } finally {
    release(condition);
    release(context);
    latent.dispose();
    denoiser.weights.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs some blocks on the tokens that reach them, or the whole model. */
async function ourRun(model: Denoiser, latent: tf.Tensor, context: unknown, blocks: readonly string[]) {
  if (blocks.length === 0) {
    return { run: () => forward(model, latent, TIMESTEP, context), release: () => {} };
  }
  const from = model.blocks.findIndex(block => block.name === blocks[0]);
  const embedded = model.embed(latent, TIMESTEP, context);
  const tokens = await runBlocks(model, embedded, { to: from });
  const stream: Stream = { tokens, shared: embedded.shared };
  return {
    async run() {
      const { hidden, context: text } = await runBlocks(model, stream, { from, to: from + blocks.length });
      text?.dispose();
      return hidden;
    },
    release() {
      release(tokens);
      release(embedded);
    },
  };
}

async function distance(output: tf.Tensor, file: string): Promise<number> {
  const source = await safetensorsSource(await openFile(file));
  const expected = await source.read('output');
  await source.close();
  return tf.tidy(() => {
    const reference = tf.tensor(expected, output.shape);
    const apart = tf.max(tf.abs(tf.sub(output, reference)));
    return tf.div(apart, tf.max(tf.abs(reference))).dataSync()[0] as number;
  });
}

function line({ case: name, part, tokens, seconds, ratio, difference, busy }: Result): string {
  const ms = (value: number): string => `${(1000 * value).toFixed(value < 0.1 ? 1 : 0)} ms`.padStart(9);
  return (
    `${name.padEnd(13)} ${part.padEnd(13)} ${String(tokens).padStart(5)} tokens  ours ${ms(seconds.ours)}  ` +
    `PyTorch ${ms(seconds.pytorch)}  ratio ${ratio.middle.toFixed(3)} ` +
    `(${ratio.low.toFixed(3)} to ${ratio.high.toFixed(3)})  difference ${difference.toExponential(1)}${busy ? '  busy' : ''}`
  );
}

main().catch(error => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
