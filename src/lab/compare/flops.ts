import * as tf from '@tensorflow/tfjs-core';
import { watchingRaw } from '../../nn/raw-op';
import { withKernels } from '../../nn/wasm/run';

/** What tfjs says of a kernel that ran. */
interface Kernel {
  readonly name: string;
  readonly inputShapes: (number[] | null)[];
  readonly outputShapes: number[][];
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/**
 * Runs `work` and counts its floating-point operations: a multiplication and an addition for every term of every
 * matrix product and convolution. What is left out (norms, activations, softmax) is small beside them. WebAssembly runs it
 * without the kernels of our own, whose products tfjs does not see; rotary positions are products there too, 2.5 % of the
 * embedded model's.
 */
export async function countFlops<T>(work: () => Promise<T>): Promise<{ result: T; flops: number }> {
  const checked = tf.env().getBool('CHECK_COMPUTATION_FOR_ERRORS');
  // Else profiling reads every single result back, to look for NaN.
  tf.env().set('CHECK_COMPUTATION_FOR_ERRORS', false);
  let result: { value: T } | undefined;
  try {
    let raw = 0;
    const watch = (name: string, inputs: readonly tf.Tensor[], output: tf.Tensor): void => {
      raw += kernelFlops({ name, inputShapes: inputs.map(({ shape }) => shape), outputShapes: [output.shape] });
    };
    const { kernels } = await tf.profile(async () => {
      result = { value: await withKernels(undefined, () => watchingRaw(watch, work)) };
      return [] as tf.TensorContainer;
    });
    if (!result) throw new Error('the profiled work gave no result');
    return { result: result.value, flops: kernels.reduce((sum, kernel) => sum + kernelFlops(kernel), raw) };
  } finally {
    tf.env().set('CHECK_COMPUTATION_FOR_ERRORS', checked);
  }
}

/** Operations of one kernel; 0 for those that multiply no matrices. */
export function kernelFlops({ name, inputShapes, outputShapes }: Kernel): number {
  const [first, second] = inputShapes;
  const [output] = outputShapes;
  if (!first || !second || !output) return 0;
  if (/MatMul(V2)?$/.test(name)) {
    // The inner size is what the first matrix has beside its rows, transposed or not.
    const rows = output.at(-2) ?? 1;
    return (2 * size(output) * size(first.slice(-2))) / rows;
  }
  if (/Conv[23]D(V2)?$/.test(name)) return (2 * size(output) * size(second)) / (second.at(-1) ?? 1);
  if (/^DepthwiseConv2d/.test(name)) return 2 * size(output) * size(second.slice(0, 2));
  return 0;
}
