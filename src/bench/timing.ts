import * as tf from '@tensorflow/tfjs-core';
import { matMul } from '../nn/fused';

/** Middle value; of an even number of values the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return ((low as number) + (high as number)) / 2;
}

/** Waits until a tensor has been computed: some backends only note down what is to be done. */
export function settle(tensor: tf.Tensor): void {
  tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), 0, 1).dataSync());
}

/** Seconds that `work` takes each time. Before several times comes one that does not count. */
export function timed(runs: number, work: () => tf.Tensor): number[] {
  const once = (): number => {
    const started = performance.now();
    const result = tf.tidy(work);
    settle(result);
    const seconds = (performance.now() - started) / 1000;
    result.dispose();
    return seconds;
  };
  if (runs > 1) once();
  return Array.from({ length: runs }, once);
}

/** Sides of the square matrices that a backend's rate is measured with: large enough to run at full speed. */
const SIDES: Readonly<Record<string, number>> = { tensorflow: 2048, wasm: 1024, cpu: 256 };

/** Operations a second of the fastest matrix product that the active backend has, which bounds what a transformer can do. */
export function matMulRate(runs = 11): number {
  const side = SIDES[tf.getBackend()] ?? 1024;
  const [a, b] = [tf.randomUniform([side, side]), tf.randomUniform([side, side])];
  // The best, not the median: it is what everything else is held against.
  const seconds = Math.min(...timed(runs, () => matMul(a, b)));
  tf.dispose([a, b]);
  return (2 * side ** 3) / seconds;
}
