import * as tf from '@tensorflow/tfjs-core';
import { UnsupportedError } from '../../../errors';
import type { Attribute, Operand, Ref, TensorType, TracedNode, Values } from './types';

/** What a new node is made of; see {@link TracedNode}. */
interface NewNode {
  readonly op: string;
  readonly name?: string;
  readonly operands?: readonly Operand[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly values?: Values;
}

/**
 * A backend that computes nothing: its kernels note down what was asked for and tell the shape of the result. A model
 * of any size is recorded in a moment, without its weights.
 */
export class Recorder extends tf.KernelBackend {
  #nodes: TracedNode[] = [];
  /** Prefix of the names of nodes that are recorded now. */
  scope = 'graph';
  readonly #refs = new WeakMap<object, Ref>();

  /** What was recorded since the last time. */
  take(): readonly TracedNode[] {
    const nodes = this.#nodes;
    this.#nodes = [];
    return nodes;
  }

  /** Notes an operation. @returns its outputs */
  emit(node: NewNode, outputs: readonly TensorType[]): tf.TensorInfo[] {
    const index = this.#nodes.push({ operands: [], attributes: {}, ...node, scope: this.scope, outputs }) - 1;
    return outputs.map(({ shape, dtype }, output) => ({
      ...this.#handle({ node: index, output }),
      shape: [...shape],
      dtype,
    }));
  }

  /** The same for an operation of one output, as a tensor. */
  tensor(node: NewNode, output: TensorType): tf.Tensor {
    const [info] = this.emit(node, [output]) as [tf.TensorInfo];
    return tf.engine().makeTensorFromTensorInfo(info);
  }

  /** Another handle on the same result. */
  alias(info: tf.TensorInfo, shape: readonly number[] = info.shape): tf.TensorInfo {
    return { ...this.#handle(this.refOf(info)), shape: [...shape], dtype: info.dtype };
  }

  /** Where a tensor was made. @throws UnsupportedError when that was outside the recording */
  refOf({ dataId }: tf.TensorInfo): Ref {
    const ref = this.#refs.get(dataId);
    if (ref) return ref;
    throw new UnsupportedError(
      'The model uses a tensor that is neither a weight nor an input, so it cannot be exported.',
      {
        hint: 'Make the tensor inside prepare, embed, the blocks or head.',
      },
    );
  }

  #handle(ref: Ref): { dataId: object } {
    const dataId = {};
    this.#refs.set(dataId, ref);
    return { dataId };
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    // A copy: whoever made the tensor may use the memory again.
    const kept =
      dtype === 'float32' ? Float32Array.from(values as Float32Array) : Int32Array.from(values as Int32Array);
    const constant = dtype === 'bool' ? Uint8Array.from(kept) : kept;
    return this.emit({ op: 'Const', values: constant }, [{ shape, dtype }])[0]!.dataId;
  }

  override move(): void {
    this.refOf({ dataId: {}, shape: [], dtype: 'float32' });
  }

  override readSync(): never {
    throw new UnsupportedError(
      'The model reads values while it runs, which a graph cannot, so it cannot be exported.',
      {
        hint: 'Write the step with tensor operations only.',
      },
    );
  }

  override read(): never {
    return this.readSync();
  }

  override refCount = (): number => 1;
  override incRef(): void {}
  override disposeData = (): boolean => true;
  override numDataIds = (): number => 0;
  override memory = (): { unreliable: boolean } => ({ unreliable: true });
  override floatPrecision = (): 32 => 32;
  override dispose(): void {}
}
