import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { createFlux, type FluxConfig, fluxConfig, fluxParameters } from '../../src/models/flux/transformer';
import { release } from '../../src/nn/scope';
import {
  type Branch,
  batchedGuidance,
  denoiserBranch,
  doubled,
  separateGuidance,
  single,
  unguided,
} from '../../src/sampling/guidance';
import type { Job } from '../../src/sampling/pipeline';
import { createFlowMatchEuler, flowMatchEulerConfig, linspace } from '../../src/schedulers/flow-match-euler';
import type { Denoiser } from '../../src/transformer/denoiser';
import { memoryStore } from '../../src/weights/memory-store';
import type { WeightStore } from '../../src/weights/parameters';
import { readGoldenTensors } from '../support/golden';

const FOLDER = join(__dirname, '..', 'fixtures', 'caches', 'none_28');
const TOKENS = 16;

/** The small FLUX model of the golden cases, whose outputs change slowly as a trained model's do. */
export interface GoldenModel {
  readonly model: Denoiser;
  /** A run of `seeds.length` rows; every seed has its own noise and text. */
  job(options: { seeds: readonly number[]; steps: number; guidance?: 'none' | 'batched' | 'separate' }): Job;
  dispose(): void;
}

export function goldenModel(): GoldenModel {
  const config: FluxConfig = fluxConfig.parse(JSON.parse(readFileSync(join(FOLDER, 'config.json'), 'utf8')));
  const values = readGoldenTensors(join(FOLDER, 'weights.safetensors')) as ReadonlyMap<
    string,
    { shape: number[]; data: Float32Array }
  >;
  const blocks = ['transformer_blocks.0', 'transformer_blocks.1', 'single_transformer_blocks.0'];
  const store: WeightStore = memoryStore(fluxParameters(config), values, [...blocks, 'single_transformer_blocks.1']);
  const model = createFlux(config, store) as Denoiser;
  return {
    model,
    job: options => goldenJob(model, config, options),
    dispose: () => store.dispose(),
  };
}

function goldenJob(
  model: Denoiser,
  config: FluxConfig,
  { seeds, steps, guidance = 'none' }: Parameters<GoldenModel['job']>[0],
): Job {
  const rows = (shape: readonly number[], of: readonly number[]): tf.Tensor =>
    tf.stack(of.map(seed => tf.tensor(noise(shape, seed), [...shape])));
  const contextOf = (of: readonly number[]): unknown =>
    tf.tidy(
      () =>
        model.prepare(
          {
            encoderHiddenStates: rows([6, config.joint_attention_dim], of),
            pooledProjections: rows([config.pooled_projection_dim], of),
            guidance: of.map(() => 3.5),
            imgIds: Array.from({ length: TOKENS }, (_, n) => [0, Math.floor(n / 4), n % 4]),
          },
          [of.length, TOKENS, config.in_channels],
        ) as never,
    );
  const empty = seeds.map(() => 1000);
  const contexts: unknown[] = [];
  const branch = (name: string, of: readonly number[], expand = single): Branch => {
    const context = contextOf(of);
    contexts.push(context);
    return denoiserBranch({ name, model, context, expand });
  };
  const branches = {
    none: () => [branch('only', seeds)],
    batched: () => [branch('guided', [...seeds, ...empty], doubled)],
    separate: () => [branch('conditional', seeds), branch('unconditional', empty)],
  }[guidance]();
  const latents = tf.tidy(() => rows([TOKENS, config.in_channels], seeds));
  const sigmas = [...linspace(1, 1 / steps, steps), 0];
  const scheduler = flowMatchEulerConfig.parse({ _class_name: 'FlowMatchEulerDiscreteScheduler' });
  return {
    branches,
    guide: { none: unguided, batched: batchedGuidance(2), separate: separateGuidance(2) }[guidance],
    latents,
    sigmas,
    channelAxis: 2,
    solver: (levels = sigmas) =>
      createFlowMatchEuler(scheduler, { sigmas: levels, timesteps: levels.slice(0, -1).map(s => s * 1000) }),
    release: () => release([latents, contexts]),
  };
}

/** Numbers with the look of noise, the same for the same seed. */
function noise(shape: readonly number[], seed: number): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: size }, (_, i) => 1.4 * Math.sin((seed + 1) * 12.9898 * (i + 1) + i * i * 0.37));
}
