import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import { uniform } from '../../cache/uniform';
import { peakMemory } from '../../engine/memory';
import { parseConfig } from '../../io/parse-config';
import { median } from '../../metrics/statistics';
import { familyOf } from '../../models/families';
import { attentionFlops, countFlops } from '../../models/flops';
import type { LoadedDenoiser } from '../../models/load-denoiser';
import type { Demand, Workload } from '../../models/workload';
import { workload } from '../../models/workload-of';
import { attention } from '../../nn/attention';
import { type ComputeType, requireComputeType } from '../../nn/bfloat16';
import { release } from '../../nn/scope';
import { settle } from '../../nn/settle';
import type { Job, PictureSize } from '../../sampling/pipeline';
import { type StepRecord, sampleLoop } from '../../sampling/sample-loop';
import { scheduleText } from '../../sampling/schedule-text';
import type { Denoiser } from '../../transformer/denoiser';
import { forward } from '../../transformer/run';
import { syntheticStore } from '../../weights/memory-store';
import { type ParameterTable, parameterCount } from '../../weights/parameters';
import { syntheticCondition, syntheticJob, syntheticLatents, syntheticOf } from './synthetic-job';
import { computedSteps, matMulRate, type Product, timed, WARM_UP_SECONDS } from './timing';

/** A transformer's class and configuration. */
export interface Described {
  readonly className: string;
  readonly config: unknown;
}

/** Time, work and speed of one thing that was run several times. */
export interface Rate {
  readonly seconds: number;
  readonly flops: number;
  readonly flopsPerSecond: number;
  /** Of what the backend's plain matrix product reaches at the model's own sizes, in the same process. */
  readonly shareOfMatMul: number;
}

/** A cached run beside an uncached one. */
export interface RunComparison {
  readonly steps: number;
  readonly computed: number;
  /** `#` computed, `.` reused. */
  readonly schedule: string;
  readonly seconds: { readonly uncached: number; readonly cached: number };
  readonly speedup: number;
  /** Medians of single steps. */
  readonly stepSeconds: { readonly uncached: number; readonly computed: number; readonly reused: number };
  /** What caching adds to a step that is computed. */
  readonly overheadSeconds: number;
  readonly cacheBytes: number;
}

export interface BenchReport {
  readonly className: string;
  readonly parameters: number;
  readonly weightBytes: number;
  readonly loadSeconds: number;
  /** Blocks that were there, and those of the published model. */
  readonly blocks: number;
  readonly allBlocks: number;
  readonly size: PictureSize;
  readonly tokens: number;
  readonly textTokens: number;
  readonly rows: number;
  readonly runs: number;
  readonly matMulFlopsPerSecond: number;
  readonly attention: Rate;
  readonly block: Rate;
  readonly forward: Rate;
  readonly comparison?: RunComparison;
  /** Largest resident size of the process after loading, and in all. */
  readonly peakBytes: { readonly loaded: number; readonly all: number };
}

export interface BenchOptions {
  readonly demand?: Demand | undefined;
  /** Rows of the batch of a forward pass and of a block; 1 unless given. */
  readonly rows?: number | undefined;
  /** What the model's blocks compute in, and so their attention; float32 unless given. */
  readonly dtype?: ComputeType | undefined;
  /** How often things are timed; the median counts. */
  readonly runs?: number | undefined;
  /** Also compares whole runs: a uniform schedule that reuses this share of the steps, and an uncached one. */
  readonly comparison?: { readonly steps: number; readonly share: number; readonly scheduler: Scheduler } | undefined;
  /** Told what is being done. */
  readonly onProgress?: ((what: string) => void) | undefined;
}

type Scheduler = { readonly _class_name: string };

/** The same model with at most `blocks` blocks of every kind. */
export function shortened({ className, config }: Described, blocks: number): Described {
  const parsed = parseConfig(familyOf(className).schema, config, className);
  return { className, config: syntheticOf(className).shortened(parsed, blocks) };
}

/** A transformer of this configuration with made-up weights. */
export function syntheticDenoiser(
  { className, config }: Described,
  { seed = 1, dtype }: { readonly seed?: number; readonly dtype?: ComputeType } = {},
): LoadedDenoiser {
  requireComputeType(dtype);
  const known = familyOf(className);
  const parsed = parseConfig(known.schema, config, className);
  const table = known.parameters(parsed);
  const store = syntheticStore(table, seed, known.blockNames(parsed), dtype);
  const denoiser = known.create(parsed, store);
  return { denoiser, parameters: parameterCount(table), bytes: store.bytes, className, config: parsed };
}

/**
 * Times a transformer on the active backend: its forward pass, one block and the attention of it, and, where it is
 * asked for, a cached run beside an uncached one. The model stays the caller's.
 * @param load makes or loads the model
 * @param published the configuration before it was shortened
 */
export async function benchModel(
  load: () => Promise<LoadedDenoiser>,
  published: Described,
  { demand = {}, rows = 1, dtype, runs = 3, comparison, onProgress = () => {} }: BenchOptions = {},
): Promise<BenchReport> {
  onProgress('loading');
  const started = performance.now();
  const loaded = await load();
  const loadSeconds = (performance.now() - started) / 1000;
  const peakLoaded = peakMemory();
  const { denoiser, className, config } = loaded;
  try {
    const known = familyOf(className);
    const work = workload(className, config, demand);
    const names = known.blockNames(config);
    const table = known.parameters(config);
    const flops = countFlops(table, work, names);
    onProgress('matrix product');
    const rate = await matMulRate(productsOf(table, work, rows));
    const rated = (seconds: number, count: number): Rate => ({
      seconds,
      flops: count,
      flopsPerSecond: count / seconds,
      shareOfMatMul: count / seconds / rate,
    });

    onProgress('attention');
    const first = names[0] as string;
    const attended = rated(await attentionSeconds(work, first, { runs, dtype }), attentionFlops(work, first));
    onProgress('forward pass');
    const times = await forwardTimes(denoiser, { className, config, work }, rows, runs);
    const compared =
      comparison && (await compareRuns(denoiser, { className, config }, work, comparison, runs, onProgress));
    return {
      className,
      parameters: loaded.parameters,
      weightBytes: loaded.bytes,
      loadSeconds,
      blocks: names.length,
      allBlocks: known.blockNames(parseConfig(known.schema, published.config, className)).length,
      size: work.size,
      tokens: work.tokens,
      textTokens: work.textTokens,
      rows,
      runs,
      matMulFlopsPerSecond: rate,
      attention: attended,
      block: rated(times.block, (rows * flops.blocks) / names.length),
      forward: rated(times.forward, rows * flops.forward),
      ...(compared && { comparison: compared }),
      peakBytes: { loaded: peakLoaded, all: peakMemory() },
    };
  } finally {
    denoiser.weights.dispose();
  }
}

/** The products of a forward pass with weight matrices; those with a kernel's are counted as what they come to. */
function productsOf(table: ParameterTable, work: Workload, rows: number): Product[] {
  return table
    .filter(({ layout, name }) => layout !== 'plain' && work.rows(name) > 0)
    .map(({ name, shape: [outputs = 1, ...inputs] }) => ({
      rows: rows * work.rows(name),
      inputs: inputs.reduce((a, b) => a * b, 1),
      outputs,
      count: 1,
    }));
}

/** Seconds of all attention of one block, on random queries, keys and values. */
async function attentionSeconds(
  work: Workload,
  block: string,
  { runs, dtype }: { runs: number; dtype: ComputeType | undefined },
): Promise<number> {
  let seconds = 0;
  for (const { count, queries, keys } of work.attention(block)) {
    const made = (tokens: number): tf.Tensor => tf.randomNormal([count, tokens, work.heads, work.width / work.heads]);
    const [q, k, v] = [made(queries), made(keys), made(keys)];
    seconds += median(await timed(runs, () => attention(q, k, v, { dtype })));
    tf.dispose([q, k, v]);
  }
  return seconds;
}

/** Median seconds of a forward pass and of one of its blocks. Before several passes come some that do not count. */
async function forwardTimes(
  model: Denoiser,
  inputs: { className: string; config: unknown; work: Workload },
  rows: number,
  runs: number,
): Promise<{ forward: number; block: number }> {
  const seeds = Array.from({ length: rows }, (_, i) => i + 1);
  const condition = syntheticCondition(inputs, seeds);
  const latent = syntheticLatents(inputs, seeds);
  const context = model.prepare(condition, latent.shape);
  release(condition);
  const [passes, blocks]: [number[], number[]] = [[], []];
  try {
    const warm = performance.now() + 1000 * WARM_UP_SECONDS;
    for (let pass = 0; passes.length < runs; pass++) {
      const started = performance.now();
      const counts = runs === 1 || (pass > 0 && started >= warm);
      let last: number | undefined;
      const output = await forward(model, latent, 500, context, {
        async onBlock(_, tokens) {
          await settle(tokens.hidden);
          const now = performance.now();
          // The first block's time would hold the embedding too.
          if (counts && (last !== undefined || model.blocks.length === 1))
            blocks.push((now - (last ?? started)) / 1000);
          last = now;
        },
      });
      await settle(output);
      output.dispose();
      if (counts) passes.push((performance.now() - started) / 1000);
    }
  } finally {
    release([latent, context]);
  }
  return { forward: median(passes), block: median(blocks) };
}

async function compareRuns(
  model: Denoiser,
  { className, config }: Described,
  work: Workload,
  { steps, share, scheduler }: NonNullable<BenchOptions['comparison']>,
  runs: number,
  onProgress: (what: string) => void,
): Promise<RunComparison> {
  const computed = computedSteps(steps, share);
  const job = syntheticJob({ className, config, work, model, scheduler, steps, guidance: 1, seeds: [1] });
  const [uncached, cached]: [TimedRun[], TimedRun[]] = [[], []];
  try {
    // In turns, so that a machine that slows down slows both.
    for (let run = 1; run <= runs; run++) {
      onProgress(`uncached run ${run} of ${runs}`);
      uncached.push(await timedRun(job, none()));
      onProgress(`cached run ${run} of ${runs}`);
      cached.push(await timedRun(job, uniform(steps, computed)));
    }
    const of = (decision: string): number[] =>
      cached
        .flatMap(run => run.steps)
        .filter(step => step.decisions.every(d => d === decision))
        .map(step => step.seconds);
    const stepSeconds = {
      uncached: median(uncached.flatMap(run => run.steps.map(step => step.seconds))),
      computed: median(of('compute')),
      reused: median(of('reuse')),
    };
    const seconds = { uncached: median(uncached.map(r => r.seconds)), cached: median(cached.map(r => r.seconds)) };
    const last = cached.at(-1) as TimedRun;
    return {
      steps,
      computed,
      schedule: scheduleText(last.steps),
      seconds,
      speedup: seconds.uncached / seconds.cached,
      stepSeconds,
      overheadSeconds: stepSeconds.computed - stepSeconds.uncached,
      cacheBytes: Math.max(...last.steps.map(step => step.cacheBytes)),
    };
  } finally {
    job.release();
  }
}

interface TimedRun {
  readonly steps: readonly StepRecord[];
  readonly seconds: number;
}

async function timedRun(job: Job, policy: CachePolicy): Promise<TimedRun> {
  const started = performance.now();
  const { latents, steps } = await sampleLoop({ ...job, solver: job.solver() }, policy);
  await settle(latents);
  latents.dispose();
  return { steps, seconds: (performance.now() - started) / 1000 };
}
