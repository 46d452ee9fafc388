import * as tf from '@tensorflow/tfjs-core';
import { laidOutShape, layOut } from './layout';
import type { Layout, Parameter } from './parameters';
import type { StoredType } from './source';
import { widenToFloat32 } from './widen';

/** What of tfjs-node's backend is used: its own way to TensorFlow's ops, which knows types that tfjs does not. */
interface Binding {
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_UINT8: number;
  createTensor(shape: number[], type: number, values: Uint8Array | Int32Array): number;
  deleteTensor(id: number): void;
  executeOp(name: string, attributes: Attribute[], inputs: number[], outputs: number): Metadata[];
}
interface Metadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}
interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}
interface NodeBackend {
  readonly binding: Binding;
  createOutputTensor(metadata: Metadata): tf.Tensor;
}

/** TensorFlow's numbers of the types that it can widen, and their sizes. */
const TYPES = { F32: { type: 1, width: 4 }, BF16: { type: 14, width: 2 }, F16: { type: 19, width: 2 } } as const;
type Widened = keyof typeof TYPES;

const ORDERS: Readonly<Record<Exclude<Layout, 'plain'>, number[]>> = {
  matrix: [1, 0],
  conv2d: [2, 3, 1, 0],
  conv3d: [2, 3, 4, 1, 0],
};

/** Makes a tensor from stored bytes, which it copies; undefined for what it does not do. */
export type NativeMaker = (
  parameter: Parameter,
  dtype: StoredType,
  bytes: Uint8Array<ArrayBuffer>,
) => tf.Tensor | undefined;

/** By backend; what did not give the right numbers when it was tried is not used. */
const tried = new WeakMap<object, boolean>();

/**
 * Widening and transposing by TensorFlow itself, several times as fast as in JavaScript. Undefined on backends that
 * have no TensorFlow, or one that does not do it right.
 */
export function nativeMaker(): NativeMaker | undefined {
  if (tf.getBackend() !== 'tensorflow') return undefined;
  const backend: object = tf.backend();
  if (!isNodeBackend(backend)) return undefined;
  const maker = makerOf(backend);
  if (!tried.has(backend)) tried.set(backend, isRight(maker));
  return tried.get(backend) ? maker : undefined;
}

function isNodeBackend(backend: object): backend is NodeBackend {
  return 'binding' in backend && 'createOutputTensor' in backend;
}

function makerOf(backend: NodeBackend): NativeMaker {
  const { binding } = backend;
  const typed = (name: string, value: number): Attribute => ({ name, type: binding.TF_ATTR_TYPE, value });

  return ({ shape, layout }, dtype, bytes) => {
    // A transpose of a single row or column hands on its input, and float32 needs no other op that copies.
    const isCopied = dtype !== 'F32' || (layout !== 'plain' && Math.min(...shape) > 1);
    if (!isWidened(dtype) || bytes.length === 0 || !isCopied) return undefined;
    const { type, width } = TYPES[dtype];
    const made: number[] = [];
    const op = (name: string, attributes: Attribute[], inputs: number[]): Metadata => {
      const [output] = binding.executeOp(name, attributes, inputs, 1) as [Metadata];
      made.push(output.id);
      return output;
    };
    try {
      const raw = binding.createTensor([...shape, width], binding.TF_UINT8, bytes);
      made.push(raw);
      let last = op('Bitcast', [typed('T', binding.TF_UINT8), typed('type', type)], [raw]);
      if (layout !== 'plain') {
        // Before widening, when there is half as much to move.
        const order = binding.createTensor([shape.length], binding.TF_INT32, Int32Array.from(ORDERS[layout]));
        made.push(order);
        last = op('Transpose', [typed('T', type), typed('Tperm', binding.TF_INT32)], [last.id, order]);
      }
      if (dtype !== 'F32') {
        const truncate = { name: 'Truncate', type: binding.TF_ATTR_BOOL, value: false };
        last = op('Cast', [typed('SrcT', type), typed('DstT', binding.TF_FLOAT), truncate], [last.id]);
      }
      made.splice(made.indexOf(last.id), 1);
      return backend.createOutputTensor(last);
    } finally {
      for (const id of made) binding.deleteTensor(id);
    }
  };
}

function isWidened(dtype: StoredType): dtype is Widened {
  return dtype in TYPES;
}

/** Tries every type and layout on a few values. */
function isRight(maker: NativeMaker): boolean {
  const shapes: Record<Layout, number[]> = {
    plain: [6],
    matrix: [3, 2],
    conv2d: [3, 2, 2, 4],
    conv3d: [3, 2, 2, 4, 2],
  };
  try {
    return (['F32', 'BF16', 'F16'] as const).every(dtype =>
      (Object.keys(shapes) as Layout[]).every(layout => {
        const parameter: Parameter = { name: 'trial', shape: shapes[layout], layout };
        const count = shapes[layout].reduce((a, b) => a * b, 1);
        const bytes = Uint8Array.from({ length: count * TYPES[dtype].width }, (_, i) => 17 + ((i * 7) % 40));
        const made = maker(parameter, dtype, bytes);
        if (!made) return true;
        const expected = layOut(widenToFloat32(bytes, dtype), parameter);
        const isSame =
          made.shape.join() === laidOutShape(parameter).join() &&
          made.dataSync<'float32'>().every((value, i) => value === expected[i]);
        made.dispose();
        return isSame;
      }),
    );
  } catch {
    return false;
  }
}
