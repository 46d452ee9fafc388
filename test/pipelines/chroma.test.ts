import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { maxAbsError } from '../../src/lab/verify/verify';
import { dense } from '../../src/media/pixels';
import { chromaKeys } from '../../src/models/flux/chroma/keys';
import { knownTables } from '../../src/models/known-tables';
import { preset } from '../../src/models/presets';
import { recognise } from '../../src/models/recognise';
import { type LoadModelOptions, loadModel } from '../../src/pipelines/load';
import { inEvaluation } from '../../src/sampling/cached-run';
import type { BatchRequest, Job } from '../../src/sampling/pipeline';
import { runRequest } from '../../src/sampling/run-job';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { originsOf } from '../../src/weights/key-layout';
import type { TensorEntry, TensorSource } from '../../src/weights/source';
import { scratchFolder, testImage } from '../media/pictures';
import { describeOnBackends } from '../support/backends';
import { readGoldenTensors } from '../support/golden';
import { asOriginalChroma } from '../weights/original-names';
import { writeRankOne } from '../weights/rank-one';

const folder = resolve(__dirname, '../fixtures/pipelines/chroma-tiny/pipeline');
const scratch = scratchFolder();
const LONG = 'A robot is painting a picture of a robot who is painting a picture.';
const REQUEST: BatchRequest = {
  prompts: ['a cat'],
  negativePrompt: 'blurry',
  seeds: [3],
  steps: 3,
  guidance: 4,
  size: { width: 32, height: 32 },
  maxSequenceLength: 24,
};

/** Pixels of every picture of a request. */
async function drawn(request: Partial<BatchRequest> = {}, options?: LoadModelOptions): Promise<Float32Array[]> {
  const before = tf.memory().numTensors;
  const pipeline = await loadModel(folder, options);
  const { media } = await runRequest(pipeline, { ...REQUEST, ...request }, none());
  pipeline.dispose();
  expect(tf.memory().numTensors).toBe(before);
  return media.map(one => Float32Array.from(dense(one)));
}

/** The small transformer in one file, by its author's names behind ComfyUI's prefix. */
function oneFile(path: string): string {
  const ours = readGoldenTensors(join(folder, 'transformer/diffusion_pytorch_model.safetensors'));
  const written = [...asOriginalChroma(ours, 2, 2, 2)].map(([name, value]): [string, TensorToWrite] => [
    `model.diffusion_model.${name}`,
    { dtype: 'F32', ...value },
  ]);
  writeFileSync(path, encodeSafetensors(new Map(written)));
  return path;
}

describeOnBackends('the pipeline of Chroma', () => {
  test('a guided step makes two calls, one for what is steered away from, and one call without guidance', async () => {
    const before = tf.memory().numTensors;
    const pipeline = await loadModel(folder);
    const [job, alone] = [
      await pipeline.prepare(REQUEST),
      await pipeline.prepare({ ...REQUEST, prompts: ['blurry'], guidance: 1 }),
    ];
    expect([job.branches.map(({ name }) => name), alone.branches.length]).toEqual([
      ['conditional', 'unconditional'],
      1,
    ]);
    const timestep = job.solver().timesteps[0]!;
    const predicted = async (of: Job, branch: number): Promise<Float32Array> => {
      const at = { sample: job.latents, timestep };
      const made = await inEvaluation(of.branches[branch]!, at, evaluation => evaluation.compute());
      const values = made.dataSync<'float32'>().slice();
      made.dispose();
      return values;
    };
    // What is steered away from is a prompt like any other.
    expect(await predicted(job, 1)).toEqual(await predicted(alone, 0));
    expect(maxAbsError(await predicted(job, 0), await predicted(job, 1))).toBeGreaterThan(1e-3);
    job.release();
    alone.release();
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('nothing depends on how far a text is padded, nor on the other texts of a batch', async () => {
    const [alone] = await drawn();
    const [shorter] = await drawn({ maxSequenceLength: 12 });
    expect(maxAbsError(shorter!, alone!)).toBeLessThan(1e-4);
    const both = await drawn({ prompts: ['a cat', LONG], seeds: [3, 4] });
    expect(maxAbsError(both[0]!, alone!)).toBeLessThan(1e-4);
    const [other] = await drawn({ prompts: [LONG] });
    expect(maxAbsError(other!, alone!)).toBeGreaterThan(1e-3);
  });

  test('a run may begin with a picture, and then takes the last of its steps', async () => {
    const before = tf.memory().numTensors;
    const pipeline = await loadModel(folder);
    const begun = async (request: Partial<BatchRequest>) =>
      runRequest(pipeline, { ...REQUEST, steps: 10, guidance: 1, ...request }, none());
    const [weak, strong, anew] = [
      await begun({ init: { image: testImage(32, 32), strength: 0.2 } }),
      await begun({ init: { image: testImage(32, 32), strength: 0.9 } }),
      await begun({}),
    ];
    expect([weak.forwards, strong.forwards, anew.forwards]).toEqual([2, 9, 10]);
    const apart = maxAbsError(dense(strong.media[0]!), dense(weak.media[0]!));
    expect(apart).toBeGreaterThan(1e-3);
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a file of its author, from memory or from disk, draws the same picture', async () => {
    const [plain] = await drawn();
    const transformer = { path: oneFile(scratch.path('chroma.safetensors')) };
    expect(await drawn({}, { transformer })).toEqual([plain]);
    expect(await drawn({}, { transformer, offload: true })).toEqual([plain]);
  });

  test('LoRAs in the names of FLUX are merged', async () => {
    const [plain] = await drawn();
    const [ours, theirs] = [
      writeRankOne(scratch.path('ours.safetensors'), 'transformer_blocks.0.attn.to_out.0', 32, 0.2),
      writeRankOne(scratch.path('theirs.safetensors'), 'double_blocks.0.img_attn.proj', 32, 0.2),
    ];
    const [styled] = await drawn({}, { loras: [{ path: ours }] });
    expect(maxAbsError(styled!, plain!)).toBeGreaterThan(1e-3);
    expect(await drawn({}, { loras: [{ path: theirs }] })).toEqual([styled]);
  });

  test('true guidance, which is for models that are told theirs, is refused', async () => {
    await expect(drawn({ trueCfgScale: 4 })).rejects.toThrow('is guided by its guidance alone');
  });
});

/** Names and shapes of the published file. */
function published(): TensorSource {
  const { transformer } = preset('chroma1-hd');
  const table = knownTables(transformer._class_name, transformer)!;
  const shapes = new Map(table.map(({ name, shape }) => [name, shape]));
  const entries = new Map<string, TensorEntry>();
  for (const [name, origin] of originsOf(table, chromaKeys)) {
    const rows = Math.max(entries.get(origin.name)?.shape[0] ?? 0, ...origin.rows.flat());
    const shape = [rows, ...shapes.get(name)!.slice(1)];
    const size = shape.reduce((a, b) => a * b, 1);
    entries.set(origin.name, { dtype: 'BF16', shape, size, bytes: 2 * size, file: '', begin: 0 });
  }
  const source = {
    names: [...entries.keys()].sort(),
    files: [],
    has: (name: string) => entries.has(name),
    entry: (name: string) => entries.get(name)!,
  };
  return source as unknown as TensorSource;
}

test('the published file is known by its names and shapes', () => {
  const source = published();
  expect(source.names.some(name => /mod\.lin|modulation/.test(name))).toBe(false);
  expect(recognise(source, 'chroma-unlocked-v48.safetensors')).toMatchObject({
    className: 'ChromaTransformer2DModel',
    config: { approximator_hidden_dim: 5120 },
  });
});
