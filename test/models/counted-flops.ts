import * as tf from '@tensorflow/tfjs-core';

/**
 * Operations of all matrix products that `work` runs.
 * @param turned width of a head in models with rotary positions: its turn by a square matrix is left out
 */
export async function countedFlops(work: () => Promise<unknown>, turned?: number): Promise<number> {
  const engine = tf.engine();
  const runKernel = engine.runKernel.bind(engine);
  let flops = 0;
  jest.spyOn(engine, 'runKernel').mockImplementation((name, inputs, attrs) => {
    if (name === 'BatchMatMul') {
      const { a, b } = inputs as unknown as { a: tf.Tensor; b: tf.Tensor };
      const columns = b.shape.at((attrs as { transposeB: boolean }).transposeB ? -2 : -1)!;
      const isTurn = b.shape.slice(-2).every(size => size === turned) && a.shape.at(-1) === turned;
      if (!isTurn) flops += 2 * a.size * columns;
    }
    return runKernel(name, inputs, attrs);
  });
  try {
    await work();
  } finally {
    jest.restoreAllMocks();
  }
  return flops;
}
