import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError, ConfigError, UnsupportedError, UsageError } from '../../src/errors';
import { parseConfig } from '../../src/io/parse-config';
import { createCogVideoXDDIM } from '../../src/schedulers/cogvideox-ddim';
import { createCogVideoXDPM } from '../../src/schedulers/cogvideox-dpm';
import { alphasCumprod, cogVideoXGrid, cogVideoXSchedule } from '../../src/schedulers/cogvideox-schedule';
import { evenlySpaced } from '../../src/schedulers/grid';
import { schedulerClass, schedulerClassNames } from '../../src/schedulers/registry';
import { rflowConfig, rflowGrid } from '../../src/schedulers/rflow';
import { describeOnBackends } from '../support/backends';

const published = {
  prediction_type: 'v_prediction',
  timestep_spacing: 'trailing',
  rescale_betas_zero_snr: true,
} as const;
const cogVideoX = cogVideoXSchedule.parse(published);
const size = { height: 240, width: 426, frames: 51 };
const configs: Record<string, object> = {
  FlowMatchEulerDiscreteScheduler: { shift: 3 },
  UniPCMultistepScheduler: { prediction_type: 'flow_prediction', use_flow_sigmas: true, flow_shift: 3 },
  CogVideoXDDIMScheduler: published,
  CogVideoXDPMScheduler: published,
  RFLOW: { use_timestep_transform: true },
};

/** A scheduler by name, with its configuration read. */
function known(name: string) {
  const scheduler = schedulerClass(name);
  return { ...scheduler, config: parseConfig(scheduler.schema, { _class_name: name, ...configs[name] }, name) };
}

describe('every sampler', () => {
  test.each(schedulerClassNames())('%s lays out falling times and noise levels', name => {
    const { grid, config } = known(name);
    for (const steps of [1, 2, 7, 50, 61]) {
      const { timesteps, sigmas } = grid(config, { steps, ...size });
      expect([timesteps.length, sigmas.length]).toEqual([steps, steps + 1]);
      expect(timesteps.every((t, i) => t >= 0 && t <= 1000 && (i === 0 || t < timesteps[i - 1]!))).toBe(true);
      expect(sigmas.every((s, i) => s <= 1 && (i === 0 || s < sigmas[i - 1]!))).toBe(true);
      // CogVideoX steps by a whole stride: where that does not divide 1000, it ends just above 0.
      expect(sigmas.at(-1)).toBeLessThan(0.06);
    }
    expect(() => grid(config, { steps: 1.5, ...size })).toThrow(UsageError);
  });

  test.each(schedulerClassNames())('%s can move its times, or says that it cannot', name => {
    const { grid, gridAt, continuous, config } = known(name);
    const own = grid(config, { steps: 9, ...size });
    if (!continuous) {
      expect(() => gridAt(config, own.sigmas)).toThrow(UnsupportedError);
      expect(() => gridAt(config, own.sigmas)).toThrow(name);
      return;
    }
    expect(gridAt(config, own.sigmas)).toEqual(own);
  });

  test('an unknown one is refused with the names there are', () => {
    expect(() => schedulerClass('EulerDiscreteScheduler')).toThrow(CheckpointError);
  });
});

describeOnBackends('every sampler', () => {
  test.each(schedulerClassNames())('%s: a model that knows the clean sample is led to it', name => {
    const { grid, create, config } = known(name);
    const times = grid(config, { steps: 12, ...size });
    const alphas = alphasCumprod(cogVideoX);
    const clean = tf.tensor1d([0.7, -1.2, 0.1]);
    const noise = tf.tensor1d([-0.4, 0.9, 1.5]);
    const before = tf.memory().numTensors;
    const solver = create(config, times);
    let x: tf.Tensor = tf.tidy(() => tf.add(tf.mul(clean, 1 - times.sigmas[0]!), tf.mul(noise, times.sigmas[0]!)));
    times.timesteps.forEach((t, i) => {
      const output = tf.tidy(() => {
        if (name.startsWith('CogVideoX')) {
          const [signal, rest] = [Math.sqrt(alphas[t]!), Math.sqrt(1 - alphas[t]!)];
          return tf.div(tf.sub(tf.mul(x, signal), clean), rest);
        }
        const towardsNoise = tf.div(tf.sub(x, clean), times.sigmas[i]!);
        return name === 'RFLOW' ? tf.neg(towardsNoise) : towardsNoise;
      });
      const next = solver.step(i, output, x, () => tf.randomNormal([3], 0, 1, 'float32', i));
      tf.dispose([x, output]);
      x = next;
    });
    const error = tf.tidy(() => tf.max(tf.abs(tf.sub(x, clean))).dataSync()[0]!);
    expect(error).toBeLessThan(2e-5);
    x.dispose();
    solver.dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([clean, noise]);
  });

  test('DPM needs noise', () => {
    const solver = createCogVideoXDPM(
      { ...cogVideoX, _class_name: 'CogVideoXDPMScheduler' },
      cogVideoXGrid(cogVideoX, { steps: 3 }),
    );
    const x = tf.zeros([2]);
    expect(() => solver.step(0, x, x)).toThrow(UsageError);
    x.dispose();
  });

  test('DDIM without alpha set to one ends at the first training time', () => {
    const c = cogVideoXSchedule.parse({ ...published, set_alpha_to_one: false });
    const grid = cogVideoXGrid(c, { steps: 5 });
    expect(grid.sigmas.at(-1)).toBeCloseTo(Math.sqrt(1 - alphasCumprod(c)[0]!), 6);
    const solver = createCogVideoXDDIM({ ...c, _class_name: 'CogVideoXDDIMScheduler' }, grid);
    const x = tf.ones([2]);
    const out = solver.step(4, x, x);
    expect(out.dataSync().every(Number.isFinite)).toBe(true);
    tf.dispose([out, x]);
  });
});

describe('times of CogVideoX', () => {
  test.each([
    ['trailing', [999, 749, 499, 249]],
    ['leading', [751, 501, 251, 1]],
    ['linspace', [999, 666, 333, 0]],
  ])('%s', (timestep_spacing, times) => {
    const c = cogVideoXSchedule.parse({ ...published, timestep_spacing, steps_offset: 1 });
    expect(cogVideoXGrid(c, { steps: 4 }).timesteps).toEqual(times);
  });

  test('trailing halves are rounded as the reference rounds them', () => {
    // What diffusers gives: every sixth time lies at a half, and NumPy has some of them just below it.
    const { timesteps } = cogVideoXGrid(cogVideoX, { steps: 48 });
    const nearHalves = timesteps.filter((_, i) => i % 6 === 3);
    expect(nearHalves).toEqual([936, 811, 686, 561, 436, 311, 186, 61]);
    expect(cogVideoXGrid(cogVideoX, { steps: 16 }).timesteps).toEqual([
      ...[999, 937, 874, 811, 749, 687, 624, 561],
      ...[499, 437, 374, 311, 249, 187, 124, 61],
    ]);
  });

  test('zero terminal SNR keeps the first level and brings the last to 0', () => {
    const plain = alphasCumprod(cogVideoXSchedule.parse({ prediction_type: 'v_prediction' }));
    const rescaled = alphasCumprod(cogVideoX);
    expect(rescaled[0]).toBeCloseTo(plain[0]!, 12);
    expect(plain.at(-1)).toBeGreaterThan(0);
    expect(rescaled.at(-1)).toBe(0);
  });

  test('what is not done is refused', () => {
    expect(() => cogVideoXGrid(cogVideoX, { steps: 2, sigmas: [1, 0.5] })).toThrow('discrete times');
    expect(() => cogVideoXGrid(cogVideoX, { steps: 1001 })).toThrow('1000');
    const { schema } = schedulerClass('CogVideoXDDIMScheduler');
    for (const [field, value] of [
      ['prediction_type', 'epsilon'],
      ['beta_schedule', 'linear'],
      ['trained_betas', [0.1]],
    ] as const) {
      const config = { _class_name: 'CogVideoXDDIMScheduler', ...published, [field]: value };
      expect(() => parseConfig(schema, config, 'scheduler_config.json')).toThrow(ConfigError);
      expect(() => parseConfig(schema, config, 'scheduler_config.json')).toThrow(field);
    }
  });
});

describe('times of Open-Sora', () => {
  const config = (change: object) => rflowConfig.parse({ _class_name: 'RFLOW', ...change });

  test('are even without the transform, whole numbers where asked for', () => {
    expect(rflowGrid(config({}), { steps: 4 }).timesteps).toEqual([1000, 750, 500, 250]);
    expect(rflowGrid(config({ use_discrete_timesteps: true }), { steps: 3 }).timesteps).toEqual([1000, 667, 333]);
  });

  test('are pushed towards noise by more frames and more pixels', () => {
    const half = (options: object) =>
      rflowGrid(config({ use_timestep_transform: true }), { steps: 2, ...size, ...options }).timesteps[1]!;
    expect(half({ height: 512, width: 512, frames: 1 })).toBe(500);
    expect(half({ frames: 102 })).toBeGreaterThan(half({ frames: 51 }));
    expect(half({ height: 720, width: 1280 })).toBeGreaterThan(half({}));
    expect(() => rflowGrid(config({ use_timestep_transform: true }), { steps: 2 })).toThrow(UsageError);
  });
});

test('evenly spaced numbers meet both ends', () => {
  expect(evenlySpaced(1, 0.1, 4)).toEqual([1, 0.7, 0.4, 0.1].map(x => expect.closeTo(x, 12)));
  expect(evenlySpaced(1, 0.5, 1)).toEqual([1]);
});

describeOnBackends('the finished latent that a prediction holds', () => {
  test.each(schedulerClassNames())('%s takes all noise away at once', name => {
    const { grid, create, config } = known(name);
    const solver = create(config, grid(config, { steps: 8, ...size }));
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const [clean, noise] = [tf.tensor1d([0.3, -1.2, 0.9]), tf.tensor1d([1.1, 0.4, -0.7])];
      for (const index of [1, 4, 7]) {
        const sigma = solver.sigmas[index]!;
        const alpha = name.startsWith('CogVideoX') ? Math.sqrt(1 - sigma ** 2) : 1 - sigma;
        const sample = tf.add(tf.mul(clean, alpha), tf.mul(noise, sigma));
        const velocity = name.startsWith('CogVideoX')
          ? tf.sub(tf.mul(noise, alpha), tf.mul(clean, sigma))
          : tf.mul(tf.sub(noise, clean), name === 'RFLOW' ? -1 : 1);
        const found = solver.clean!(index, velocity, sample).dataSync();
        expect(Math.max(...found.map((x, i) => Math.abs(x - clean.dataSync()[i]!)))).toBeLessThan(2e-4);
      }
    });
    solver.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
