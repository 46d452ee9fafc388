import * as tf from '@tensorflow/tfjs-core';
import { laidOutShape, layOut } from './layout';
import { isNodeBackend, type NodeBackend, TF, type, withSteps } from './native-binding';
import type { Layout, Parameter } from './parameters';
import type { StoredType } from './stored-type';
import { widenToFloat32 } from './widen';

/** Types that TensorFlow has too, and their sizes. */
const TYPES = {
  F32: { of: TF.float, width: 4 },
  BF16: { of: TF.bfloat16, width: 2 },
  F16: { of: TF.half, width: 2 },
} as const;
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

/** By backend; a type that did not give the right numbers when it was tried is not used. */
const tried = new WeakMap<object, ReadonlySet<StoredType>>();

/**
 * Widening and transposing by TensorFlow itself, several times as fast as in JavaScript. Undefined on backends that
 * have no TensorFlow, or one that does not do it right.
 */
export function nativeMaker(): NativeMaker | undefined {
  if (tf.getBackend() !== 'tensorflow') return undefined;
  const backend: object = tf.backend();
  if (!isNodeBackend(backend)) return undefined;
  const right = tried.get(backend) ?? rightTypes(backend);
  tried.set(backend, right);
  if (!right.has('F32')) return undefined;
  return (parameter, dtype, bytes) => (right.has(dtype) ? made(backend, parameter, dtype, bytes) : undefined);
}

/** Whether TensorFlow may be asked to make a parameter of this type. */
export const isMadeNatively = (parameter: Parameter, dtype: StoredType): boolean =>
  isWidened(dtype) && isCopied(parameter, dtype);

/** A transpose of a single row or column hands on its input, and float32 needs no other op that copies. */
const isCopied = ({ shape, layout }: Parameter, dtype: Widened): boolean =>
  dtype !== 'F32' || (layout !== 'plain' && Math.min(...shape) > 1);

function made(
  backend: NodeBackend,
  parameter: Parameter,
  dtype: StoredType,
  bytes: Uint8Array<ArrayBuffer>,
): tf.Tensor | undefined {
  if (bytes.length === 0 || !isWidened(dtype) || !isCopied(parameter, dtype)) return undefined;
  const { shape, layout } = parameter;
  const { of, width } = TYPES[dtype];
  return withSteps(backend, steps => {
    const raw = steps.input([...shape, width], TF.uint8, bytes);
    let last = steps.run('Bitcast', { T: type(TF.uint8), type: type(of) }, raw);
    if (layout !== 'plain') {
      // Before widening, when there is half as much to move.
      last = steps.run('Transpose', { T: type(of), Tperm: type(TF.int32) }, last.id, steps.list(ORDERS[layout]));
    }
    if (dtype === 'F32') return last;
    return steps.run('Cast', { SrcT: type(of), DstT: type(TF.float), Truncate: ['bool', false] }, last.id);
  });
}

const isWidened = (dtype: StoredType): dtype is Widened => dtype in TYPES;

/** Types that are made right, in every layout, of a few values. */
function rightTypes(backend: NodeBackend): ReadonlySet<StoredType> {
  return new Set((Object.keys(TYPES) as Widened[]).filter(dtype => isRight(backend, dtype)));
}

function isRight(backend: NodeBackend, dtype: Widened): boolean {
  const shapes: Record<Layout, number[]> = {
    plain: [6],
    matrix: [3, 2],
    conv2d: [3, 2, 2, 4],
    conv3d: [3, 2, 2, 4, 2],
  };
  try {
    return (Object.keys(shapes) as Layout[]).every(layout => {
      const parameter: Parameter = { name: 'trial', shape: shapes[layout], layout };
      const count = shapes[layout].reduce((a, b) => a * b, 1) * TYPES[dtype].width;
      const bytes = Uint8Array.from({ length: count }, (_, i) => 17 + ((i * 7) % 40));
      const tensor = made(backend, parameter, dtype, bytes);
      if (!tensor) return true;
      const expected = layOut(widenToFloat32(bytes, dtype), parameter);
      const isSame =
        tensor.shape.join() === laidOutShape(parameter).join() &&
        tensor.dataSync<'float32'>().every((value, i) => value === expected[i]);
      tensor.dispose();
      return isSame;
    });
  } catch {
    return false;
  }
}
