import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { uniform } from '../../../src/cache/uniform';
import { benchModel, shortened, syntheticDenoiser } from '../../../src/lab/timing/bench-model';
import { syntheticJob } from '../../../src/lab/timing/synthetic-job';
import { median } from '../../../src/metrics/statistics';
import { familyOf } from '../../../src/models/families';
import { preset, presetNames } from '../../../src/models/presets';
import { workload } from '../../../src/models/workload-of';
import { sampleLoop } from '../../../src/sampling/sample-loop';
import { describeOnBackends } from '../../support/backends';
import { command } from '../../weights/command';

/** A published model with one block of every kind and as narrow as its class allows. */
const narrow: Record<string, Record<string, unknown>> = {
  FluxTransformer2DModel: {
    num_layers: 1,
    num_single_layers: 1,
    num_attention_heads: 1,
    joint_attention_dim: 8,
    pooled_projection_dim: 8,
  },
  ChromaTransformer2DModel: {
    ...{ num_layers: 1, num_single_layers: 1, num_attention_heads: 1, joint_attention_dim: 8 },
    ...{ approximator_hidden_dim: 8, approximator_layers: 1 },
  },
  WanTransformer3DModel: { num_layers: 1, num_attention_heads: 1, ffn_dim: 16, text_dim: 8 },
  CogVideoXTransformer3DModel: { num_layers: 1, num_attention_heads: 1, text_embed_dim: 8, max_text_seq_length: 6 },
  STDiT3: { depth: 1, num_heads: 2, hidden_size: 32, caption_channels: 8, model_max_length: 6 },
  MiniT2IMMJiTModel: {
    ...{ depth_double: 1, txt_preamble_depth: 1, hidden_size: 32, txt_hidden_size: 32, cond_vec_size: 32 },
    ...{ num_heads: 2, head_dim: 16, txt_input_size: 8, prompt_length: 6, image_size: 32 },
  },
};

function small(name: string) {
  const { transformer, scheduler } = preset(name);
  const className = transformer._class_name;
  return { className, config: { ...transformer, ...narrow[className] }, scheduler };
}
/** As few as make a video. */
const fewest: Readonly<Record<string, number>> = { flux: 1, chroma: 1, minit: 1, wan: 5, cogvideox: 8, opensora: 17 };
const frames = (name: string): number => fewest[/^[a-z]+/.exec(name)![0]]!;
const demand = { height: 32, width: 48, textTokens: 6 };
/** MiniT2I draws squares. */
const sizeOf = (name: string) => (name.startsWith('minit2i') ? { ...demand, width: 32 } : demand);

test('the median of odd and even numbers of times', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

test('a shortened model keeps its width', () => {
  const { transformer } = preset('flux-dev');
  const { className, config } = shortened({ className: transformer._class_name, config: transformer }, 2);
  const known = familyOf(className);
  expect(known.blockNames(known.schema.parse(config))).toHaveLength(4);
  expect(config).toMatchObject({ num_attention_heads: 24, num_layers: 2, num_single_layers: 2 });
});

describeOnBackends('bench', () => {
  test.each(['flux-dev', 'chroma1-hd', 'wan2.1-t2v-1.3b', 'cogvideox-2b', 'cogvideox-5b', 'opensora-1.2'])(
    '%s: times, and runs with and without a cache',
    async name => {
      const { className, config, scheduler } = small(name);
      const described = { className, config };
      const before = tf.memory().numTensors;
      const report = await benchModel(async () => syntheticDenoiser(described), described, {
        demand: { ...demand, frames: frames(name) },
        rows: 2,
        runs: 2,
        comparison: { steps: 6, share: 0.5, scheduler },
      });
      expect(tf.memory().numTensors).toBe(before);
      expect(report.blocks).toBe(report.allBlocks);
      for (const { seconds, flopsPerSecond, flops, shareOfMatMul } of [
        report.attention,
        report.block,
        report.forward,
      ]) {
        expect(seconds).toBeGreaterThan(0);
        expect(flopsPerSecond).toBeCloseTo(flops / seconds);
        expect(shareOfMatMul).toBeCloseTo(flopsPerSecond / report.matMulFlopsPerSecond);
      }
      expect(report.comparison).toMatchObject({ steps: 6, computed: 3, schedule: '#.#.#.' });
      expect(report.comparison!.cacheBytes).toBeGreaterThan(0);
      expect(report.peakBytes.all).toBeGreaterThanOrEqual(report.peakBytes.loaded);
    },
  );

  test.each(presetNames())('%s: guided runs of two rows keep the latent in shape', async name => {
    const { className, config, scheduler } = small(name);
    const before = tf.memory().numTensors;
    const { denoiser: model, config: parsed } = syntheticDenoiser({ className, config });
    const work = workload(className, parsed, { ...sizeOf(name), frames: frames(name) });
    const run = { className, config: parsed, work, model, scheduler, steps: 4, guidance: 3, seeds: [1, 2] };
    const job = syntheticJob(run);
    const { latents, steps } = await sampleLoop({ ...job, solver: job.solver() }, uniform(4, 2));
    expect(latents.shape).toEqual([2, ...work.latent.slice(1)]);
    expect(latents.dataSync().every(Number.isFinite)).toBe(true);
    expect(steps.reduce((sum, step) => sum + step.forwards, 0)).toBe(2);
    latents.dispose();
    job.release();
    model.weights.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
}, ['native', 'wasm']);

describe('ertacache bench', () => {
  const folder = join(__dirname, '../../fixtures/checkpoints/bf16/transformer');
  const size = ['--height', '32', '--width', '48', '--frames', '5', '--max-sequence-length', '5'];

  test('a folder, its blocks in memory or on disk', async () => {
    for (const extra of [[], ['--offload']]) {
      const done = await command(
        'bench',
        '--model',
        folder,
        ...size,
        '--runs',
        '1',
        '--steps',
        '4',
        '--json',
        ...extra,
      );
      expect(done.code).toBe(0);
      expect(JSON.parse(done.stdout)).toMatchObject({
        className: 'WanTransformer3DModel',
        parameters: 21_000,
        tokens: 12,
        comparison: { schedule: '#.#.' },
      });
    }
  });

  test('for people', async () => {
    const { stdout } = await command('bench', '--model', folder, ...size, '--steps', '4');
    expect(stdout).toContain('32x48, 5 frames: 12 tokens and 5 of text, all 2 blocks');
    expect(stdout).toMatch(/attention .*s .*FLOP\/s, \d+ % of that/);
    expect(stdout).toMatch(/4 steps, 2 computed \(#\.#\.\): .* times as fast/);
  });

  test('the shipped model: its forward pass in its own size, and whole samples', async () => {
    const parts = ['--parts', 'transformer,sample', '--batch', '2', '--runs', '1', '--steps', '6', '--json'];
    const { stdout } = await command('bench', '--model', 'fluent-emoji', ...parts);
    const { tokens, rows, sample } = JSON.parse(stdout);
    expect([tokens, rows]).toEqual([64, 2]);
    expect(sample).toMatchObject({ steps: 6, policy: 'uniform', schedule: '#.#.#.', forwards: 3, ideal: 2 });
    expect(sample.seconds.cached).toBeGreaterThan(sample.loopSeconds.cached);
    const usual = await command('bench', '--model', 'fluent-emoji', '--parts', 'sample', '--runs', '1');
    expect(usual.stdout).toMatch(/30 steps with ertacache: 15 forward passes \([#.]{30}\)/);
  });

  test('whole samples have the size, the length and the text that are asked for', async () => {
    const pipeline = join(__dirname, '../../fixtures/pipelines/wan-tiny/pipeline');
    const options = ['--parts', 'sample', '--runs', '1', '--steps', '2', '--width', '48', '--height', '32'];
    const asked = ['bench', '--model', pipeline, ...options, '--frames', '5', '--max-sequence-length', '16'];
    const { sample } = JSON.parse((await command(...asked, '--json')).stdout);
    expect(sample.size).toEqual({ width: 48, height: 32, frames: 5 });
    expect((await command(...asked)).stdout).toContain('prompt to pixels: 32x48, 5 frames, "');
    const other = await command('bench', '--model', 'fluent-emoji', ...options);
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('draws pictures of one size') });
  });

  test('of few steps one is reused at least, however small the share', async () => {
    const few = ['--runs', '1', '--steps', '4', '--policy-share', '0.1'];
    const { stdout } = await command('bench', '--model', 'fluent-emoji', '--parts', 'sample', ...few);
    expect(stdout).toMatch(/4 steps with uniform: 3 forward passes/);
    expect(stdout).not.toContain('NaN');
    const transformer = await command('bench', '--model', folder, ...size, ...few, '--json');
    expect(JSON.parse(transformer.stdout).comparison).toMatchObject({
      computed: 3,
      stepSeconds: { reused: expect.any(Number) },
    });
  });

  test('decoding, of a folder and of made-up weights of the published size', async () => {
    const pipeline = join(__dirname, '../../fixtures/pipelines/wan-tiny/pipeline');
    const clip = ['--parts', 'decode', '--height', '32', '--width', '48', '--frames', '5', '--runs', '1', '--json'];
    const { decode } = JSON.parse((await command('bench', '--model', pipeline, ...clip)).stdout);
    expect(decode).toMatchObject({ size: { height: 32, width: 48, frames: 5 }, tiled: false, runs: 1 });
    const image = ['--parts', 'decode', '--height', '16', '--width', '16', '--frames', '1', '--runs', '1'];
    const { stdout } = await command('bench', '--model', 'wan2.1-t2v-1.3b', '--synthetic', ...image);
    expect(stdout).toMatch(/decode .* 16x16; most memory/);
  });

  test.each([
    [['--model', 'fluent-emoji', '--parts', 'decode'], 'has no autoencoder'],
    [['--model', 'flux-dev', '--synthetic', '--parts', 'sample'], 'no whole samples'],
  ])('%j has nothing to time', async (args, mention) => {
    expect(await command('bench', ...args)).toMatchObject({ stderr: expect.stringContaining(mention) });
  });

  test.each([
    [['--model', 'flux-dev', '--parts', 'all'], 'none of transformer, decode, sample'],
    [['--model', 'flux-dev'], '--synthetic'],
    [['--model', 'flux-dev', '--synthetic', '--offload'], '--offload'],
    [['--model', 'flux-dev', '--synthetic', '--variant', 'fp16'], '--variant'],
    [['--model', 'flux-dev', '--synthetic', '--transformer', 'a.gguf'], '--transformer'],
    [['--model', folder, '--blocks', '2'], '--blocks'],
    [['--model', 'fluent-emoji', '--parts', 'sample', '--batch', '4'], '--batch'],
    [[], '--model'],
    [['--model', 'flux-dev', '--synthetic', '--policy-share', '1'], 'from 0.01'],
  ])('%j makes no sense', async (args, mention) => {
    expect(await command('bench', ...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(mention) });
  });
});
