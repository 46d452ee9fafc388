import * as tf from '@tensorflow/tfjs-core';

/** TensorFlow's numbers of its types and of the kinds of attributes, as its C API fixes them. */
export const TYPE = { float32: 1, complex64: 8, bfloat16: 14 } as const;
const KIND = { string: 0, int: 1, float: 2, bool: 3, type: 4 } as const;

/** An attribute as tfjs-node's binding takes it. */
export interface RawAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean | string;
}

/** An operation of TensorFlow itself: its name and attributes. */
export interface RawOp {
  readonly op: string;
  readonly attributes: readonly RawAttribute[];
}

type Kind = keyof typeof KIND;

/** An operation with the attributes given as `[kind, value]`. */
export function rawOp(op: string, attributes: Readonly<Record<string, readonly [Kind, RawAttribute['value']]>>): RawOp {
  const list = Object.entries(attributes).map(([name, [kind, value]]) => ({ name, type: KIND[kind], value }));
  return { op, attributes: list };
}

interface Output {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

interface NodeBackend {
  readonly binding: {
    executeOp(name: string, attributes: readonly RawAttribute[], inputs: readonly number[], outputs: number): Output[];
  };
  getInputTensorIds(tensors: readonly tf.Tensor[]): number[];
  createOutputTensor(output: Output): tf.Tensor;
  executeSingleOutput(name: string, attributes: readonly RawAttribute[], inputs: readonly tf.Tensor[]): tf.Tensor;
}

type Watcher = (op: string, inputs: readonly tf.Tensor[], output: tf.Tensor) => void;
let watcher: Watcher | undefined;

/** Tells of every operation that is run raw meanwhile: tfjs's profile does not see them. */
export async function watchingRaw<T>(watch: Watcher, work: () => Promise<T>): Promise<T> {
  watcher = watch;
  try {
    return await work();
  } finally {
    watcher = undefined;
  }
}

/** Runs an operation on the active backend, which must be TensorFlow's. */
export function runRaw({ op, attributes }: RawOp, ...inputs: tf.Tensor[]): tf.Tensor {
  const output = (tf.backend() as unknown as NodeBackend).executeSingleOutput(op, attributes, inputs);
  watcher?.(op, inputs, output);
  return output;
}

/**
 * Runs an operation whose result is bfloat16. tfjs has no such type and would refuse the tensor, so it is registered as
 * float32; only operations that are run raw may take it, and its values cannot be read. Disposing frees it as any other.
 */
export function runRawBfloat16({ op, attributes }: RawOp, ...inputs: tf.Tensor[]): tf.Tensor {
  const backend = tf.backend() as unknown as NodeBackend;
  const [output] = backend.binding.executeOp(op, attributes, backend.getInputTensorIds(inputs), 1) as [Output];
  const made = backend.createOutputTensor({ ...output, dtype: TYPE.float32 });
  watcher?.(op, inputs, made);
  return made;
}
