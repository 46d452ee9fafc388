import * as tf from '@tensorflow/tfjs-core';
import { referenceBytes, requireReferenceMemory } from '../../src/calibration/reference-memory';
import { MemoryError } from '../../src/errors';
import { describeOnBackends } from '../support/backends';

const PICTURE = [3, 8, 8];
const STEPS = 100;
/** Latents before the first step and after each, and an output of each. */
const A_PAIR = 4 * 3 * 8 * 8 * (STEPS + 1 + STEPS);
const sigmas = Array.from({ length: STEPS + 1 }, (_, i) => 1 - i / STEPS);

describeOnBackends('the memory of a calibration', () => {
  test('grows with its pairs and steps, and more pairs than there is room for are refused with how many there is', () => {
    const jobs = [2, 3].map(rows => ({ latents: tf.zeros([rows, ...PICTURE]), sigmas }));
    expect(referenceBytes(jobs)).toBe(5 * A_PAIR);
    expect(() => requireReferenceMemory(jobs, 5 * A_PAIR)).not.toThrow();
    expect(() => requireReferenceMemory(jobs, 4.5 * A_PAIR)).toThrow(MemoryError);
    expect(() => requireReferenceMemory(jobs, 4.5 * A_PAIR)).toThrow(
      'The uncached runs of 5 pairs take 772 KB; 695 KB are available.',
    );
    tf.dispose(jobs.map(({ latents }) => latents));
  });
});
