import * as tf from '@tensorflow/tfjs-core';
import { corrector, lookBackOf } from '../../src/cache/corrector';
import type { Decision, GuidedOutput, StepInfo } from '../../src/cache/policy';
import type { Combination, Rectification } from '../../src/cache/rectify';
import { describeOnBackends } from '../support/backends';

const lsq = (...steps: (Combination | null)[]): Rectification => ({ form: 'lsq', steps });
const step = (index: number): StepInfo => ({ index, steps: 4, sigma: 1 - index / 4, sigmaNext: 1 - (index + 1) / 4 });

test('how far a rectification looks back is the largest age that its terms name', () => {
  expect(lookBackOf({ form: 'off' })).toBe(0);
  expect(lookBackOf({ form: 'linear', channelAxis: 1, steps: [null, { K: [1], B: [2] }] })).toBe(0);
  expect(lookBackOf(lsq(null, null))).toBe(0);
  expect(lookBackOf(lsq(null, { 'output.0': 1, sample: 2, one: 3 }))).toBe(0);
  expect(lookBackOf(lsq(null, { 'conditional.0': 1, 'unconditional.2': 1 }, { 'conditional.12': 1 }))).toBe(12);
});

describeOnBackends('the corrector', () => {
  /** Corrects an output of one number at a latent of 100; its correction as a number. */
  function correct(of: ReturnType<typeof corrector>, index: number, value: number, decision: Decision): number {
    const [latent, given] = [tf.scalar(100), tf.scalar(value)];
    const output: GuidedOutput = { value: given, parts: { output: given } };
    const corrected = of.correct(step(index), latent, output, decision);
    const result = corrected.dataSync()[0] as number;
    tf.dispose([latent, given, corrected]);
    return result;
  }

  test('keeps as many computed outputs as its weights look back on', () => {
    const before = tf.memory().numTensors;
    const own = corrector(lsq(null, null, null, { 'output.2': 1, sample: 1 }));
    const bytes: number[] = [];
    for (const index of [0, 1, 2]) {
      expect(correct(own, index, index + 1, 'compute')).toBe(index + 1);
      bytes.push(own.bytes());
    }
    expect(bytes).toEqual([4, 8, 8]);
    expect(correct(own, 3, 9, 'reuse')).toBe(2 + 100);
    expect(own.bytes()).toBe(8);
    own.dispose();
    expect([own.bytes(), tf.memory().numTensors]).toEqual([0, before]);
  });

  test('keeps nothing for forms that look at one output, whatever it is told', () => {
    const before = tf.memory().numTensors;
    for (const rectify of [{ form: 'off' }, { form: 'linear', channelAxis: 0, steps: [null, null] }] as const) {
      const own = corrector(rectify, 3);
      expect(correct(own, 0, 5, 'compute')).toBe(5);
      expect(own.bytes()).toBe(0);
      own.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  test('reads the coefficients of a step when that step comes', () => {
    const steps: (Combination | null)[] = [];
    const own = corrector({ form: 'lsq', steps }, 1);
    steps.push(null);
    expect(correct(own, 0, 3, 'compute')).toBe(3);
    steps.push({ 'output.0': 2, 'output.1': 10 });
    expect(correct(own, 1, 4, 'reuse')).toBe(8 + 30);
    own.dispose();
  });
});
