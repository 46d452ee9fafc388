import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../../errors';
import { parseConfig } from '../../io/parse-config';
import { alphasCumprod, cogVideoXSchedule } from '../../schedulers/cogvideox-schedule';
import { evenlySpaced, type GridOptions } from '../../schedulers/grid';
import { schedulerClass } from '../../schedulers/registry';
import type { CaseRunner, GoldenCase, GoldenTensor } from './golden-case';
import { runMiniT2ISampler } from './minit2i-sampler';
import { joined, valuesOf } from './values-of';

function input(golden: GoldenCase, name: string): GoldenTensor {
  const found = golden.inputs.get(name);
  if (found) return found;
  throw new CheckpointError('missing_key', `The case ${golden.name} has no input in.${name}.`);
}

/** Entry `index` of a tensor's first axis. */
function entry({ shape, data }: GoldenTensor, index: number): tf.Tensor {
  const size = data.length / (shape[0] as number);
  return tf.tensor(data.slice(index * size, (index + 1) * size), shape.slice(1));
}

function optionalNumber(golden: GoldenCase, name: string): number | undefined {
  const value = golden.call[name];
  return typeof value === 'number' ? value : undefined;
}

function gridOptions(golden: GoldenCase, steps: number): GridOptions {
  const number = (name: string): number | undefined => optionalNumber(golden, name);
  return {
    steps,
    // A pipeline's own noise levels: evenly from 1 to 1 / steps.
    ...(golden.call.pass_sigmas === true && { sigmas: evenlySpaced(1, 1 / steps, steps) }),
    mu: number('mu'),
    height: number('height'),
    width: number('width'),
    frames: number('num_frames'),
  };
}

/** Open-Sora's model returns prompt and null rows; the velocity is the first half of their channels. */
function guidedVelocity(output: tf.Tensor, sample: tf.Tensor, scale: number): tf.Tensor {
  return tf.tidy(() => {
    const [velocity] = tf.split(output, 2, 1) as [tf.Tensor];
    const [prompt, none] = tf.split(velocity, 2, 0) as [tf.Tensor, tf.Tensor];
    return tf.reshape(tf.add(none, tf.mul(tf.sub(prompt, none), scale)), sample.shape);
  });
}

/** Runs a case of the group `schedulers`: recorded outputs through the sampler, every step handed over. */
export const runScheduler: CaseRunner = async (golden, produce) => {
  if (golden.className === 'MiniT2IFlowMatchScheduler') return runMiniT2ISampler(golden, produce);
  const scheduler = schedulerClass(golden.className);
  const config = parseConfig(scheduler.schema, golden.config, join(golden.folder, 'config.json'));
  const outputs = input(golden, 'model_output');
  const start = input(golden, 'sample_init');
  const noise = golden.inputs.get('noise');
  const steps = outputs.shape[0] as number;
  const grid = scheduler.grid(config, gridOptions(golden, steps));
  produce('timesteps', grid.timesteps);
  produce('sigmas', grid.sigmas);
  if (golden.expected.has('alphas_cumprod')) produce('alphas_cumprod', alphasCumprod(cogVideoXSchedule.parse(config)));

  type Values = Promise<ArrayLike<number>>;
  const made = { samples: [] as Values[], x0: [] as Values[], orders: [] as number[], draws: [] as number[] };
  const solver = scheduler.create(config, grid, report => {
    if (report.x0) made.x0.push(valuesOf(report.x0));
    if (report.order !== undefined) made.orders.push(report.order);
  });
  let drawn = 0;
  let sample: tf.Tensor = tf.tensor(start.data, [...start.shape]);
  try {
    for (let index = 0; index < steps; index++) {
      const raw = entry(outputs, index);
      const guided = golden.className === 'RFLOW' ? guidedVelocity(raw, sample, cfgScale(golden, config)) : raw.clone();
      const before = drawn;
      const next = solver.step(index, guided, sample, noise && (() => entry(noise, drawn++)));
      made.draws.push(drawn - before);
      tf.dispose([raw, guided, sample]);
      sample = next;
      made.samples.push(valuesOf(sample));
    }
    produce('sample', sample);
    produce('samples', await joined(made.samples));
    if (made.x0.length > 0) produce('pred_x0', await joined(made.x0));
    if (made.orders.length > 0) produce('order_per_step', made.orders);
    if (noise) produce('noise_draws_per_step', made.draws);
  } finally {
    sample.dispose();
    solver.dispose();
  }
};

function cfgScale(golden: GoldenCase, config: unknown): number {
  const { cfg_scale: configured } = config as { cfg_scale: number };
  return optionalNumber(golden, 'guidance_scale') ?? configured;
}
