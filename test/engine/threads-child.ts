/** Multiplies two matrices on WebAssembly with as many threads as its argument says; prints what came of it. */
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../../src/engine/select';

async function main(threads: number): Promise<void> {
  const { label } = await selectBackend('wasm', { threads });
  const [a, b] = [1, 2].map(seed => tf.randomUniform([96, 96], -1, 1, 'float32', seed)) as [tf.Tensor2D, tf.Tensor2D];
  const values = [...tf.matMul(a, b).dataSync()].filter((_, i) => i % 97 === 0);
  const again = await selectBackend('wasm', { threads: threads + 1 }).then(
    () => 'taken',
    error => error.message,
  );
  console.log(JSON.stringify({ label, values, again }));
}

void main(Number(process.argv[2]));
