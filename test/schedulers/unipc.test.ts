import * as tf from '@tensorflow/tfjs-core';
import { ConfigError } from '../../src/errors';
import { parseConfig } from '../../src/io/parse-config';
import { solveLinear } from '../../src/schedulers/linear-system';
import { createUniPC, type UniPCConfig, uniPCConfig, uniPCGrid, uniPCGridAt } from '../../src/schedulers/unipc';
import { describeOnBackends } from '../support/backends';

function config(change: object = {}): UniPCConfig {
  return parseConfig(
    uniPCConfig,
    {
      _class_name: 'UniPCMultistepScheduler',
      prediction_type: 'flow_prediction',
      use_flow_sigmas: true,
      flow_shift: 3,
      ...change,
    },
    'scheduler_config.json',
  );
}

/**
 * Error at σ = 0.1 of a run from normal data: there the velocity is known, and the exact path is
 * `x(σ) = x(1) · √((1 - σ)² + σ²)`.
 */
function errorOf(c: UniPCConfig, steps: number): number {
  const [from, to] = [0.9, 0.1];
  const sigmas = Array.from({ length: steps + 1 }, (_, i) => from + ((to - from) * i) / steps);
  const solver = createUniPC(c, uniPCGridAt(c, sigmas));
  const spread = (s: number): number => Math.hypot(1 - s, s);
  let x: tf.Tensor = tf.tensor1d([spread(from)]);
  for (let i = 0; i < steps; i++) {
    const s = sigmas[i]!;
    const velocity = tf.mul(x, (2 * s - 1) / spread(s) ** 2);
    const next = solver.step(i, velocity, x);
    tf.dispose([velocity, x]);
    x = next;
  }
  const error = Math.abs(x.dataSync()[0]! - spread(to));
  x.dispose();
  solver.dispose();
  return error;
}

describeOnBackends('UniPC', () => {
  /** How much smaller the error becomes when the steps are halved. */
  const gain = (change: object): number => {
    const c = config({ lower_order_final: false, final_sigmas_type: 'sigma_min', ...change });
    return errorOf(c, 16) / errorOf(c, 32);
  };

  test.each(['bh1', 'bh2'])('the corrector makes every order one higher, %s', solver_type => {
    expect(gain({ solver_type, solver_order: 1 })).toBeGreaterThan(3.5);
    expect(gain({ solver_type, solver_order: 2 })).toBeGreaterThan(7);
    expect(gain({ solver_type, solver_order: 3 })).toBeGreaterThan(12);
  });

  test('without it an order is what it says', () => {
    const disable_corrector = Array.from({ length: 32 }, (_, i) => i);
    expect(gain({ solver_order: 1, disable_corrector })).toBeCloseTo(2, 0);
    expect(gain({ solver_order: 2, disable_corrector })).toBeCloseTo(4.5, 0);
  });

  test('it keeps as many tensors as its order and one more, and none after dispose', () => {
    const c = config();
    const solver = createUniPC(c, uniPCGrid(c, { steps: 6 }));
    const [output, sample] = [tf.ones([2, 3]), tf.zeros([2, 3])];
    const before = tf.memory().numTensors;
    for (let i = 0; i < 6; i++) solver.step(i, output, sample).dispose();
    expect(tf.memory().numTensors).toBe(before + 3);
    solver.dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([output, sample]);
  });

  test('the last step to noise level 0 gives the predicted clean sample', () => {
    const c = config();
    const grid = uniPCGrid(c, { steps: 1 });
    expect(grid.sigmas.at(-1)).toBe(0);
    const solver = createUniPC(c, grid);
    const [output, sample] = [tf.tensor1d([0.5]), tf.tensor1d([2])];
    const out = solver.step(0, output, sample);
    expect(out.dataSync()[0]).toBeCloseTo(2 - 0.5 * grid.sigmas[0]!, 6);
    solver.dispose();
    tf.dispose([out, output, sample]);
  });
});

describe('the grid of UniPC', () => {
  test('starts just below 1 and falls to 0', () => {
    const { timesteps, sigmas } = uniPCGrid(config(), { steps: 20 });
    expect(timesteps[0]).toBe(999);
    expect(sigmas).toHaveLength(21);
    expect(sigmas.every((s, i) => i === 0 || s < sigmas[i - 1]!)).toBe(true);
    expect([sigmas[0]! < 1, sigmas.at(-1)]).toEqual([true, 0]);
  });

  test('over its own noise levels it is the same', () => {
    const grid = uniPCGrid(config({ flow_shift: 5 }), { steps: 50 });
    expect(uniPCGridAt(config(), grid.sigmas)).toEqual(grid);
  });

  test('follows given noise levels, a dynamic shift and a terminal level', () => {
    const c = config({ use_dynamic_shifting: true, shift_terminal: 0.1 });
    const { sigmas } = uniPCGrid(c, { steps: 2, sigmas: [0.9, 0.5], mu: Math.log(2) });
    const [a, b] = [2 / (2 + (1 / 0.9 - 1)), 2 / 3];
    expect(sigmas[0]).toBeCloseTo(1 - (1 - a) / ((1 - b) / 0.9), 6);
    expect(sigmas[1]).toBeCloseTo(0.1, 6);
    expect(() => uniPCGrid(c, { steps: 2 })).toThrow('mu');
    expect(() => uniPCGrid(config(), { steps: 3, sigmas: [1, 0.5] })).toThrow('3 steps need 3 sigmas');
    expect(() => uniPCGrid(config(), { steps: 0 })).toThrow('0 was asked for');
  });

  test.each([
    [{ prediction_type: 'epsilon' }, 'prediction_type'],
    [{ use_flow_sigmas: false }, 'use_flow_sigmas'],
    [{ use_karras_sigmas: true }, 'use_karras_sigmas'],
    [{ predict_x0: false }, 'predict_x0'],
    [{ thresholding: true }, 'thresholding'],
    [{ solver_order: 9 }, 'solver_order'],
    [{ lower_order_final: false }, 'lower_order_final'],
  ])('refuses %j by name', (change, field) => {
    expect(() => config(change)).toThrow(ConfigError);
    expect(() => config(change)).toThrow(field);
  });
});

test('linear systems that need an exchange of rows are solved', () => {
  const solution = solveLinear(
    [
      [0, 2, 1],
      [1, 1, 1],
      [2, 0, -1],
    ],
    [7, 6, -1],
  );
  [1, 2, 3].forEach((x, i) => {
    expect(solution[i]).toBeCloseTo(x, 12);
  });
});
