import * as tf from '@tensorflow/tfjs-core';
import { dequantise } from '../../src/weights/dequantise';
import { layOut } from '../../src/weights/layout';
import { nativeMaker } from '../../src/weights/native-tensor';
import type { Parameter } from '../../src/weights/parameters';
import { blockOf } from '../../src/weights/stored-type';
import { describeOnBackends } from '../support/backends';

describeOnBackends('matrices of blocks decoded by TensorFlow', () => {
  test.each(['Q4_0', 'Q8_0'] as const)('%s: the same values, laid out', dtype => {
    const parameter: Parameter = { name: 'a.weight', shape: [130, 96], layout: 'matrix' };
    const { elements, bytes: width } = blockOf(dtype);
    // The second byte of each block keeps its scale a number, of either sign.
    const bytes = Uint8Array.from({ length: ((130 * 96) / elements) * width }, (_, i) =>
      i % width === 1 ? (i * 37) & 0xbf : (i * 193) & 255,
    );
    const before = tf.memory().numTensors;
    const made = nativeMaker()!(parameter, dtype, bytes)!;
    expect(made.shape).toEqual([96, 130]);
    expect([...made.dataSync()]).toEqual([...layOut(dequantise(bytes, dtype), parameter)]);
    made.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
}, ['native']);
