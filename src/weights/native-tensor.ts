import * as tf from '@tensorflow/tfjs-core';
import { dequantise } from './dequantise';
import { laidOutShape, layOut } from './layout';
import { isNodeBackend, type NodeBackend, type Steps, TF, type, withSteps } from './native-binding';
import type { Layout, Parameter } from './parameters';
import { blockOf, isBlockType, type StoredType } from './stored-type';
import { widenToFloat32 } from './widen';

/** Types that TensorFlow has too, and their sizes. */
const TYPES = {
  F32: { of: TF.float, width: 4 },
  BF16: { of: TF.bfloat16, width: 2 },
  F16: { of: TF.half, width: 2 },
} as const;
type Widened = keyof typeof TYPES;

/** Types of GGUF that a few operations decode. */
const BLOCKS = ['Q4_0', 'Q8_0'] as const;
type Blocks = (typeof BLOCKS)[number];

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

function made(
  backend: NodeBackend,
  { shape, layout }: Parameter,
  dtype: StoredType,
  bytes: Uint8Array<ArrayBuffer>,
): tf.Tensor | undefined {
  if (bytes.length === 0) return undefined;
  if (isBlocks(dtype)) {
    const [rows, columns = 0] = shape;
    if (layout !== 'matrix' || columns % blockOf(dtype).elements !== 0) return undefined;
    return withSteps(backend, steps => decodedBlocks(steps, dtype, [rows!, columns], bytes));
  }
  // A transpose of a single row or column hands on its input, and float32 needs no other op that copies.
  const isCopied = dtype !== 'F32' || (layout !== 'plain' && Math.min(...shape) > 1);
  if (!isWidened(dtype) || !isCopied) return undefined;
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

/**
 * A matrix `[out, in]` of blocks as `[in, out]` in float32. Codes are transposed while they are bytes, when there is
 * least to move; the scales, one for each block, are multiplied in at the end.
 */
function decodedBlocks(steps: Steps, dtype: Blocks, [rows, columns]: [number, number], bytes: Uint8Array) {
  const { elements, bytes: width } = blockOf(dtype);
  const count = columns / elements;
  const { scales: halves, codes } = takenApart(bytes, rows, width);
  const u8 = { T: type(TF.uint8) };
  const widened = (of: number, id: number): number =>
    steps.run('Cast', { SrcT: type(of), DstT: type(TF.float), Truncate: ['bool', false] }, id).id;
  const reshaped = (id: number, shape: readonly number[]) =>
    steps.run('Reshape', { T: type(TF.float), Tshape: type(TF.int32) }, id, steps.list(shape));

  const raw = steps.input([count, 1, rows, 2], TF.uint8, halves);
  const scales = widened(TF.half, steps.run('Bitcast', { ...u8, type: type(TF.half) }, raw).id);
  const stored = steps.input([count, width - 2, rows], TF.uint8, codes);
  const bits = dtype === 'Q8_0' ? stored : unpacked(steps, stored);
  const signed = widened(TF.int8, steps.run('Bitcast', { ...u8, type: type(TF.int8) }, bits).id);
  const blocks = reshaped(signed, [count, elements, rows]).id;
  return reshaped(steps.run('Mul', { T: type(TF.float) }, blocks, scales).id, [columns, rows]);
}

/** Rows of a tile whose blocks stay in the processor's cache while their bytes are taken apart. */
const TILE = 64;

/**
 * Scales `[blocks of a row, rows]` and codes `[blocks of a row, bytes of a block's codes, rows]` of a matrix of blocks
 * that begin with their scale. TensorFlow transposes single bytes more slowly.
 */
function takenApart(bytes: Uint8Array, rows: number, width: number): { scales: Uint8Array; codes: Uint8Array } {
  const stride = bytes.length / rows;
  const scales = new Uint8Array((2 * bytes.length) / width);
  const codes = new Uint8Array(bytes.length - scales.length);
  for (let row0 = 0; row0 < rows; row0 += TILE) {
    const row1 = Math.min(rows, row0 + TILE);
    for (let block = 0; block * width < stride; block++) {
      const first = block * width;
      for (let row = row0; row < row1; row++) {
        const [from, to] = [row * stride + first, 2 * (block * rows + row)];
        scales[to] = bytes[from]!;
        scales[to + 1] = bytes[from + 1]!;
      }
      for (let code = 2; code < width; code++) {
        const to = (block * (width - 2) + code - 2) * rows;
        for (let row = row0; row < row1; row++) codes[to + row] = bytes[row * stride + first + code]!;
      }
    }
  }
  return { scales, codes };
}

/** Two codes a byte, the low ones first, each less eight. */
function unpacked(steps: Steps, packed: number): number {
  const u8 = { T: type(TF.uint8) };
  const number = (value: number): number => steps.input([], TF.uint8, Uint8Array.of(value));
  const low = steps.run('BitwiseAnd', u8, packed, number(15)).id;
  const high = steps.run('RightShift', u8, packed, number(4)).id;
  const both = steps.run('Pack', { ...u8, N: ['int', 2], axis: ['int', 1] }, low, high).id;
  // Below zero it wraps around, which is what a signed byte means.
  return steps.run('Sub', u8, both, number(8)).id;
}

const isWidened = (dtype: StoredType): dtype is Widened => dtype in TYPES;
const isBlocks = (dtype: StoredType): dtype is Blocks => (BLOCKS as readonly StoredType[]).includes(dtype);

/** Types that are made right, in every layout, of a few values. */
function rightTypes(backend: NodeBackend): ReadonlySet<StoredType> {
  const types = [...(Object.keys(TYPES) as Widened[]), ...BLOCKS];
  return new Set(types.filter(dtype => isRight(backend, dtype)));
}

function isRight(backend: NodeBackend, dtype: Widened | Blocks): boolean {
  const shapes: Record<Layout, number[]> = {
    plain: [6],
    matrix: isBlockType(dtype) ? [3, 64] : [3, 2],
    conv2d: [3, 2, 2, 4],
    conv3d: [3, 2, 2, 4, 2],
  };
  try {
    return (Object.keys(shapes) as Layout[]).every(layout => {
      const parameter: Parameter = { name: 'trial', shape: shapes[layout], layout };
      if (isBlockType(dtype) && layout !== 'matrix') return true;
      const { elements, bytes: width } = blockOf(dtype);
      const count = (shapes[layout].reduce((a, b) => a * b, 1) / elements) * width;
      const bytes = Uint8Array.from({ length: count }, (_, i) => 17 + ((i * 7) % 40));
      const tensor = made(backend, parameter, dtype, bytes);
      if (!tensor) return true;
      const values = isBlockType(dtype) ? dequantise(bytes, dtype) : widenToFloat32(bytes, dtype);
      const expected = layOut(values, parameter);
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
