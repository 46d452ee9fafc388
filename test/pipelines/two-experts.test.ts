import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { dmd } from '../../src/cache/dmd';
import { firstBlock } from '../../src/cache/first-block';
import { hicache } from '../../src/cache/hicache';
import { l2p } from '../../src/cache/l2p';
import { magcache } from '../../src/cache/magcache';
import { meancache } from '../../src/cache/meancache';
import { none } from '../../src/cache/none';
import type { CachePolicy } from '../../src/cache/policy';
import { spectrum } from '../../src/cache/spectrum';
import { taylorseer } from '../../src/cache/taylorseer';
import { teacache } from '../../src/cache/teacache';
import { uniform } from '../../src/cache/uniform';
import { zeus } from '../../src/cache/zeus';
import { type CalibrateOptions, calibrate } from '../../src/calibration/calibrate';
import { draw } from '../../src/draw/draw';
import { selectBackend } from '../../src/engine/select';
import { InterruptedError } from '../../src/errors';
import { farPipeline } from '../../src/fleet/far-model';
import type { Parts } from '../../src/fleet/parts';
import { maxAbsError } from '../../src/lab/verify/verify';
import { dense } from '../../src/media/pixels';
import { type LoadModelOptions, loadModel } from '../../src/pipelines/load';
import { inEvaluation } from '../../src/sampling/cached-run';
import type { CheckpointStore } from '../../src/sampling/checkpoint';
import type { Embeddings } from '../../src/sampling/embeddings';
import type { BatchRequest, Job, Pipeline } from '../../src/sampling/pipeline';
import { runRequest } from '../../src/sampling/run-job';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { farAnswers } from '../../src/server/workers/far-call';
import { describeOnBackends, usableBackends } from '../support/backends';
import { writeRankOne } from '../weights/rank-one';
import { altered } from './altered';

const WEIGHTS = 'diffusion_pytorch_model.safetensors';
const SECOND = ['diffusers', 'WanTransformer3DModel'];

/** Changes the values of some tensors of a float32 safetensors file. */
function changeValues(
  path: string,
  isChanged: (name: string, shape: readonly number[]) => boolean,
  change: (value: number) => number,
): void {
  const bytes = readFileSync(path);
  const begin = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, begin));
  for (const [name, tensor] of Object.entries<{ shape: number[]; data_offsets: [number, number] }>(header)) {
    if (name === '__metadata__' || !isChanged(name, tensor.shape)) continue;
    const [from, to] = tensor.data_offsets;
    for (let at = begin + from; at < begin + to; at += 4) bytes.writeFloatLE(change(bytes.readFloatLE(at)), at);
  }
  writeFileSync(path, bytes);
}

/** The matrices of a float32 safetensors file, half as large again. */
function grown(path: string): void {
  changeValues(
    path,
    (_, shape) => shape.length >= 2,
    value => value * 1.5,
  );
}

/** A pipeline in the layout of Wan2.2-A14B: the second expert is another model than the first. */
function twoExperts(index: object = { boundary_ratio: 0.875 }): string {
  const folder = altered('wan-tiny', { 'model_index.json': { transformer_2: SECOND, ...index } });
  cpSync(join(folder, 'transformer'), join(folder, 'transformer_2'), { recursive: true });
  grown(join(folder, 'transformer_2', WEIGHTS));
  return folder;
}

/** The second expert as the only transformer of a pipeline. */
function secondAlone(): string {
  const folder = altered('wan-tiny');
  grown(join(folder, 'transformer', WEIGHTS));
  return folder;
}

const STEPS = 8;
const REQUEST: BatchRequest = {
  prompts: ['a red fox'],
  seeds: [3],
  steps: STEPS,
  guidance: 5,
  guidance2: 3,
  negativePrompt: 'blur',
  size: { width: 32, height: 16, frames: 5 },
};

/** What UMT5 makes of all prompts here: its tokenizer takes seconds to load. */
let embeddings: Embeddings;
const load = (folder: string, options: LoadModelOptions = {}): Promise<Pipeline> =>
  loadModel(folder, { embeddings, ...options });

beforeAll(async () => {
  await selectBackend(usableBackends()[0] ?? 'cpu');
  const pipeline = await loadModel(altered('wan-tiny'));
  const prompts = ['a red fox', 'a fox'];
  for (const prompt of prompts) {
    for (const negativePrompt of ['', 'blur']) {
      await pipeline.encodePrompts?.({ ...REQUEST, guidance2: undefined, prompts: [prompt], negativePrompt });
    }
  }
  embeddings = { ...(await pipeline.embeddings!()), prompts, where: 'here' };
  pipeline.dispose();
});

async function latentsOf(pipeline: Pipeline, request: BatchRequest): Promise<Float32Array> {
  const job = await pipeline.prepare(request);
  try {
    const { latents } = await sampleLoop({ ...job, solver: job.solver() }, none());
    const values = Float32Array.from(latents.dataSync());
    latents.dispose();
    return values;
  } finally {
    job.release();
  }
}

const predicted = (job: Job, branch: number, sample: tf.Tensor, timestep: number): Promise<tf.Tensor> =>
  inEvaluation(job.branches[branch]!, { sample, timestep }, evaluation => evaluation.compute());

/** The loop of diffusers' WanPipeline, written out over two pipelines of one transformer each. */
async function written(boundary: number): Promise<Float32Array> {
  const { guidance2, ...plain } = REQUEST;
  const pipelines = [await load(altered('wan-tiny')), await load(secondAlone())];
  const jobs = [await pipelines[0]!.prepare(plain), await pipelines[1]!.prepare(plain)];
  const solver = jobs[0]!.solver();
  let sample: tf.Tensor = jobs[0]!.latents.clone();
  for (const [i, timestep] of solver.timesteps.entries()) {
    const [job, scale] = timestep >= boundary * 1000 ? [jobs[0]!, 5] : [jobs[1]!, guidance2 as number];
    const [c, u] = [await predicted(job, 0, sample, timestep), await predicted(job, 1, sample, timestep)];
    const output = tf.tidy(() => tf.add(u, tf.mul(tf.sub(c, u), scale)));
    const next = solver.step(i, output, sample);
    tf.dispose([c, u, output, sample]);
    sample = next;
  }
  const values = Float32Array.from(sample.dataSync());
  sample.dispose();
  solver.dispose();
  for (const job of jobs) job.release();
  for (const pipeline of pipelines) pipeline.dispose();
  return values;
}

const REUSED = Array.from({ length: STEPS }, (_, i) => i % 2 === 1);
const POLICIES: Readonly<Record<string, CachePolicy>> = {
  uniform: uniform(STEPS, 1),
  teacache: teacache({ threshold: 100, coefficients: [1, 0] }),
  'first block': firstBlock({ threshold: 100 }),
  magcache: magcache({ threshold: 100, ratios: Array(STEPS).fill(1), retentionRatio: 0, maxSkipSteps: 100 }),
  taylorseer: taylorseer({ interval: 100, warmUp: 1 }),
  'taylorseer-lite': taylorseer({ interval: 100, warmUp: 1, lite: true }),
  dmd: dmd({ reused: REUSED.map((_, i) => i > 0) }),
  meancache: meancache({ reused: REUSED.map((_, i) => i > 0) }),
  hicache: hicache({ reused: REUSED.map((_, i) => i > 0) }),
  spectrum: spectrum({ reused: REUSED.map((_, i) => i > 0) }),
  l2p: l2p({
    reused: REUSED.map((_, i) => i > 0),
    weights: REUSED.map((_, i) => Array<number>(i).fill(1 / Math.max(1, i))),
  }),
  zeus: zeus({ reused: REUSED.map((_, i) => i > 0) }),
};

describeOnBackends('two experts', () => {
  test.each([0.875, 0.5, 0, 1])('boundary %d: each draws where diffusers has it draw', async boundary => {
    const before = tf.memory().numTensors;
    const expected = await written(boundary);
    for (const offload of [false, true]) {
      const pipeline = await load(twoExperts({ boundary_ratio: boundary }), { offload });
      expect(maxAbsError(await latentsOf(pipeline, REQUEST), expected)).toBeLessThan(1e-4);
      // A second run begins with the first expert again.
      expect(maxAbsError(await latentsOf(pipeline, REQUEST), expected)).toBeLessThan(1e-4);
      pipeline.dispose();
    }
    await new Promise(setImmediate);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('one of them is in memory at a time where blocks are left on disk', async () => {
    const held: number[] = [];
    for (const offload of [false, true]) {
      const before = tf.memory().numTensors;
      const pipeline = await load(twoExperts(), { offload });
      const job = await pipeline.prepare(REQUEST);
      const seen: number[] = [];
      await sampleLoop({ ...job, solver: job.solver() }, none(), {
        onStep: () => void seen.push(tf.memory().numTensors - before),
      }).then(({ latents }) => latents.dispose());
      held.push(seen.at(-1)! - seen[0]!);
      job.release();
      pipeline.dispose();
    }
    const [resident, offloaded] = held as [number, number];
    // All parameters of the second come beside the first; of the streamed one nothing but what it made of the texts.
    expect(resident).toBeGreaterThan(20);
    expect(offloaded).toBeLessThan(10);
  });

  test('calls at two times that are under way at once have each their own', async () => {
    const pipeline = await load(twoExperts());
    const job = await pipeline.prepare(REQUEST);
    const at = async (timestep: number): Promise<Float32Array> => {
      const output = await predicted(job, 0, job.latents, timestep);
      const values = Float32Array.from(output.dataSync());
      output.dispose();
      return values;
    };
    const [first, second] = [await at(999), await at(100)];
    expect(await Promise.all([at(999), at(100)])).toEqual([first, second]);
    expect(await Promise.all([at(100), at(999)])).toEqual([second, first]);
    job.release();
    pipeline.dispose();
  });

  test('workers of a queue run either of them, at the time that it is for', async () => {
    const folder = twoExperts();
    const [here, there] = [await load(folder), await load(folder)];
    const { answer } = farAnswers({ take: async () => there, names: () => ['wan'] });
    const parts: Parts = {
      ask: (target, question, signal = new AbortController().signal) => answer(target, question, signal),
      close() {},
    };
    const far = farPipeline(here, { model: 'wan', loading: {} }, parts);
    for (const policy of [none(), uniform(STEPS, 4)]) {
      const [own, theirs] = [await runRequest(here, REQUEST, policy), await runRequest(far, REQUEST, policy)];
      expect(theirs.schedule).toBe(own.schedule);
      expect(maxAbsError(dense(theirs.media[0]!), dense(own.media[0]!))).toBeLessThan(1e-5);
    }
    here.dispose();
    there.dispose();
  });

  test('what is kept of the first is not reused by the second, by any method', async () => {
    const before = tf.memory().numTensors;
    const pipeline = await load(twoExperts());
    const { takeover } = pipeline.schedule(REQUEST);
    expect(takeover).toBeGreaterThan(1);
    for (const [name, policy] of Object.entries(POLICIES)) {
      const { schedule, media } = await runRequest(pipeline, REQUEST, policy);
      expect([name, schedule[0], schedule[takeover!]]).toEqual([name, '#', '#']);
      expect([name, schedule.includes('.')]).toEqual([name, true]);
      expect(dense(media[0]!).every(Number.isFinite)).toBe(true);
    }
    pipeline.dispose();
    await new Promise(setImmediate);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a policy has a part for each: calibrated, followed, and for this pair and guidance only', async () => {
    const pipeline = await load(twoExperts());
    const { takeover } = pipeline.schedule(REQUEST);
    const pairs = [{ prompt: 'a red fox', seed: 1 }];
    const size = REQUEST.size!;
    const options = { pairs, steps: STEPS, guidance: 5, timestep: 'off' } as const;
    for (const schedule of [
      { computed: 3 },
      { computed: 3, search: 'anneal', trials: 4 },
      { lambda: 10 },
      { budgets: [1, 3, 5] },
    ] as CalibrateOptions['schedule'][]) {
      const sized = { ...pipeline, prepare: (r: BatchRequest) => pipeline.prepare({ ...r, size }) };
      const policy = await calibrate(sized, { ...options, schedule });
      expect(policy.data.schedule[takeover!]).toBe('#');
      const drawn = await draw({ prompt: 'a fox', steps: STEPS, size }, { model: pipeline, policy });
      expect(drawn.schedule).toBe(policy.data.schedule);
      const other = { prompt: 'a fox', steps: STEPS, size, guidance2: 3 };
      await expect(draw(other, { model: pipeline, policy })).rejects.toThrow('guided alike by both experts');
      const moved = await load(twoExperts({ boundary_ratio: 0.9 }));
      await expect(draw({ prompt: 'a fox', steps: STEPS, size }, { model: moved, policy })).rejects.toThrow(
        'was calibrated for the model',
      );
      moved.dispose();
    }
    const reused = Array.from({ length: STEPS }, (_, i) => i === takeover);
    await expect(calibrate(pipeline, { ...options, schedule: { reused } })).rejects.toThrow('takes over there');
    await expect(calibrate(pipeline, { ...options, schedule: { computed: 1 } })).rejects.toThrow('Each of the two');
    await expect(calibrate(pipeline, { ...options, timestep: 'global', schedule: { computed: 3 } })).rejects.toThrow(
      'takes over',
    );
    pipeline.dispose();
  });

  test.each([2, 6])('a run that was ended after step %d goes on to the same bytes', async ended => {
    const pipeline = await load(twoExperts(), { offload: true });
    const request = { prompt: 'a fox', steps: STEPS, guidance2: 3, size: REQUEST.size! };
    const policy = uniform(STEPS, 4);
    const whole = await draw(request, { model: pipeline, policy });
    const kept = new Map<string, Uint8Array>();
    const checkpoint: CheckpointStore = {
      every: 1,
      read: async run => kept.get(run),
      write: async (run, bytes) => void kept.set(run, bytes.slice()),
      remove: async run => void kept.delete(run),
    };
    const stop = new AbortController();
    await expect(
      draw(request, {
        ...{ model: pipeline, policy, checkpoint, signal: stop.signal },
        onStep: ({ index }) => (index + 1 === ended ? stop.abort() : undefined),
      }),
    ).rejects.toThrow(InterruptedError);
    const resumed = await draw(request, { model: pipeline, policy, checkpoint });
    expect(resumed.schedule).toBe(whole.schedule);
    expect(dense(resumed.media)).toEqual(dense(whole.media));
    pipeline.dispose();
  });
});

const MODULE = 'blocks.0.attn1.to_q';

/** A LoRA of rank 1 that adds 0.25 to every value of one matrix. */
function writeLora(): string {
  const folder = altered('wan-tiny');
  const { num_attention_heads: heads, attention_head_dim: width } = JSON.parse(
    readFileSync(join(folder, 'transformer/config.json'), 'utf8'),
  );
  return writeRankOne(join(folder, 'style.safetensors'), MODULE, heads * width, 0.5);
}

/** The two experts, to whose matrix a LoRA of a scale was added. */
function merged(scales: Readonly<Record<string, number>>): string {
  const folder = twoExperts({ boundary_ratio: 0.5 });
  for (const [part, scale] of Object.entries(scales)) {
    changeValues(
      join(folder, part, WEIGHTS),
      name => name === `${MODULE}.weight`,
      value => value + 0.25 * scale,
    );
  }
  return folder;
}

describeOnBackends('files of the second transformer', () => {
  const second = { component: 'transformer_2' } as const;

  test.each([false, true])('a LoRA is merged into the transformer that it is for (offload: %s)', async offload => {
    const before = tf.memory().numTensors;
    const path = writeLora();
    const seen: Float32Array[] = [];
    for (const [loras, scales] of [
      [[{ path, scale: 0.8 }], { transformer: 0.8 }],
      [[{ path, scale: -2, ...second }], { transformer_2: -2 }],
      [
        [
          { path, ...second },
          { path, scale: 0.5 },
        ],
        { transformer: 0.5, transformer_2: 1 },
      ],
    ] as const) {
      const pipeline = await load(merged({}), { loras, offload });
      const expected = await load(merged(scales));
      const values = await latentsOf(pipeline, REQUEST);
      expect(maxAbsError(values, await latentsOf(expected, REQUEST))).toBeLessThan(1e-4);
      expect(pipeline.info.loras).toEqual(loras.map(lora => expect.objectContaining(lora)));
      seen.push(values);
      pipeline.dispose();
      expected.dispose();
    }
    expect(maxAbsError(seen[0]!, seen[1]!)).toBeGreaterThan(1e-2);
    await new Promise(setImmediate);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a file takes the place of the second transformer, which needs no weights then', async () => {
    const folder = twoExperts({ boundary_ratio: 0.5 });
    const plain = await load(folder);
    const expected = await latentsOf(plain, REQUEST);
    plain.dispose();
    const path = join(folder, 'low-noise.safetensors');
    renameSync(join(folder, 'transformer_2', WEIGHTS), path);
    const pipeline = await load(folder, { transformer2: { path } });
    expect(await latentsOf(pipeline, REQUEST)).toEqual(expected);
    expect(pipeline.info.hash).not.toBe(plain.info.hash);
    pipeline.dispose();
    await expect(load(folder)).rejects.toThrow('transformer_2');
  });

  test('a receipt tells what was merged into which, and other ones are refused', async () => {
    const path = writeLora();
    const pipeline = await load(twoExperts(), { loras: [{ path, ...second }] });
    const { size } = REQUEST;
    const request = { prompt: 'a fox', steps: 2, size: size!, loras: [{ path, ...second }] };
    const { receipt } = await draw(request, { model: pipeline });
    expect(receipt.loras).toEqual([expect.objectContaining({ path, scale: 1, ...second })]);
    await expect(draw({ ...request, loras: [{ path }] }, { model: pipeline })).rejects.toThrow('transformer or order');
    pipeline.dispose();
  });

  test('a model with one transformer has no place for them', async () => {
    const loras = [{ path: writeLora(), ...second }];
    await expect(load(altered('wan-tiny'), { loras })).rejects.toThrow('is for a second transformer');
    const path = join(altered('wan-tiny'), 'transformer', WEIGHTS);
    await expect(load(altered('wan-tiny'), { transformer2: { path } })).rejects.toThrow('has one transformer');
  });
});

describe('what an index says of a second transformer', () => {
  test.each<[string, object, string]>([
    ['a boundary that is a word', { boundary_ratio: 'half' }, 'boundary_ratio must be a number from 0 to 1'],
    ['a boundary beyond the run', { boundary_ratio: 1.5 }, 'boundary_ratio must be a number from 0 to 1'],
    ['no second one', { boundary_ratio: 0.875, transformer_2: [null, null] }, 'takes over, and there is none'],
    ['a second one that is null', { boundary_ratio: 0.875, transformer_2: null }, 'takes over, and there is none'],
  ])('%s', async (_, index, message) => {
    await expect(load(twoExperts(index))).rejects.toThrow(message);
  });

  test('a second one of another shape', async () => {
    const folder = twoExperts();
    const path = join(folder, 'transformer_2/config.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), num_layers: 1 }));
    await expect(load(folder)).rejects.toThrow('is no transformer like the first one');
  });
});

describeOnBackends('a second transformer that is never run', () => {
  test.each<[string, object]>([
    ['no boundary', {}],
    ['a boundary of null', { boundary_ratio: null }],
    ['a boundary of 0 and no second', { boundary_ratio: 0, transformer_2: null }],
  ])('%s: the first draws all of it', async (_, index) => {
    const [pipeline, plain] = [await load(twoExperts(index)), await load(altered('wan-tiny'))];
    const { guidance2: _2, ...request } = { ...REQUEST, steps: 3 };
    expect(await latentsOf(pipeline, request)).toEqual(await latentsOf(plain, request));
    expect(() => pipeline.schedule(REQUEST)).toThrow('has one transformer');
    pipeline.dispose();
    plain.dispose();
  });
});
