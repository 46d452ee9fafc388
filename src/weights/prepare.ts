import * as tf from '@tensorflow/tfjs-core';
import { ShapeError } from '../errors';
import { alignedFloat32, pageAlignedBytes } from '../io/aligned';
import { toBfloat16 } from '../nn/bfloat16';
import { type Computed, isNarrow } from './computed';
import { elements } from './dtype';
import { checkFinite } from './finite';
import { asStored, laidOutShape, placeRows } from './layout';
import type { Merge, Merges } from './lora/merge';
import { isMadeNatively, type NativeMaker, nativeMaker } from './native-tensor';
import type { Parameter } from './parameters';
import { type Scale, type Slice, type StoredType, slices, type TensorSource } from './source';
import { blockOf, isQuantised, storedBytes } from './stored-type';
import { widenToFloat32 } from './widen';

/** Elements that are prepared at a time while a kernel is laid out: 8 MB of float32. */
const SLICE = 2 ** 21;
/** Stored bytes of the largest parameter that TensorFlow decodes: it has them three times for a moment. */
const WHOLE = 2 ** 27;

/** How a parameter is stored, wherever its bytes lie. */
export interface Stored {
  readonly dtype: StoredType;
  /** Stored as layers want it. */
  readonly isLaidOut?: boolean | undefined;
  /** What its values are multiplied by once they are widened; `decode` does so. */
  readonly scale?: Scale | undefined;
  /** How errors call what holds it. */
  readonly file: string;
  /** Bytes of the elements from `start` on, else from the first, as float32. May look at the same memory. */
  decode(bytes: Uint8Array<ArrayBuffer>, start?: number): Float32Array<ArrayBuffer>;
}

/** How a parameter is prepared. */
export interface PrepareOptions extends Computed {
  /** Refuse NaN and infinities, as values are decoded. Off unless told. */
  readonly checkFinite?: boolean | undefined;
  /** The bytes are lent: what is made of them looks at memory of its own. */
  readonly isLent?: boolean | undefined;
  /** TensorFlow's own way to decode and lay out, taken for what it does where all bytes are at hand. */
  readonly native?: NativeMaker | undefined;
  /** Sees the tensor while it is float32, before it takes the type that is computed in; borrowed. */
  readonly onFloat32?: ((tensor: tf.Tensor) => void) | undefined;
  /** What a LoRA changes of the parameter. */
  readonly merge?: Merge | undefined;
}

/** How parameters are prepared that are read from a checkpoint. */
export interface ReadOptions extends PrepareOptions {
  /** LoRAs that are merged into them. */
  readonly merges?: Merges | undefined;
  /** Memory for the stored bytes of one parameter after another (`bufferFor`); borrowed. */
  readonly buffer?: Uint8Array<ArrayBuffer> | undefined;
}

/** A parameter on its way from its stored bytes to a tensor. */
export interface Preparation {
  /** What `add` is to be given, in this order: whole rows, so that little is in memory beside the result. */
  readonly slices: Iterable<Slice>;
  /** Takes the bytes of one of `slices`. @throws CheckpointError `non_finite` */
  add(bytes: Uint8Array<ArrayBuffer>, slice: Slice): void;
  /** The tensor, the caller's, when all slices were added. */
  finish(): tf.Tensor;
}

/**
 * The one way from stored bytes to what a layer computes with, for every kind of store. The steps, in this order:
 *
 * 1. decode: a slice of stored bytes to float32 (`Stored.decode`). A quantised format is one more `StoredType` with
 *    its block (`blockOf`) and its case in `TensorSource.widen`; slices are of whole blocks.
 * 2. lay out: rows to their places in the order that layers want (`placeRows`).
 * 3. merge: what changes weights, a LoRA, is added once all of a parameter is there, by the backend, which multiplies
 *    many times as fast as JavaScript; so it does not matter how the parameter was stored. It is float32 still.
 * 4. compute type: float32 as it is, or narrowed to what the layer's products are computed in (`isNarrow`). A type
 *    that layers decode themselves, as they compute, is one more case here, and skips step 1.
 *
 * @param parameter as the table lists it; its name and shape must have been checked
 */
export function prepare(parameter: Parameter, stored: Stored, options: PrepareOptions = {}): Preparation {
  const { name, shape, layout } = asStored(parameter, stored);
  const size = elements(shape);
  const isWhole = layout === 'plain' || size === 0;
  const width = isWhole ? size : size / shape[0]!;
  let values: Float32Array | undefined;
  return {
    slices: isWhole ? [{ start: 0, count: size }] : slices(size, sliceOf(width, blockOf(stored.dtype).elements)),
    add(bytes, { start }) {
      const decoded = stored.decode(bytes, start);
      if (options.checkFinite) checkFinite(decoded, name, stored.file, start);
      if (isWhole) {
        values = options.isLent && decoded.buffer === bytes.buffer ? decoded.slice() : decoded;
        return;
      }
      values ??= alignedFloat32(size);
      placeRows(values, decoded, start / width, shape);
    },
    finish: () => computable(parameter, tf.tensor(values!, laidOutShape(parameter), 'float32'), options),
  };
}

/** Quantised values that TensorFlow does not decode are decoded here, and laid out by it. */
function nativelyMade(
  native: NativeMaker,
  parameter: Parameter,
  stored: Stored,
  bytes: Uint8Array<ArrayBuffer>,
): tf.Tensor | undefined {
  const { dtype, scale } = stored;
  const made = native(parameter, dtype, bytes);
  if (made && scale !== undefined) return scaled(made, scale, parameter.layout);
  if (made || !isQuantised(dtype)) return made;
  if (parameter.layout === 'plain') return undefined;
  const { buffer, byteOffset, byteLength } = stored.decode(bytes);
  return native(parameter, 'F32', new Uint8Array(buffer, byteOffset, byteLength));
}

function scaled(tensor: tf.Tensor, scale: Scale, layout: Parameter['layout']): tf.Tensor {
  try {
    if (typeof scale === 'number') return tf.mul(tensor, scale);
    // Layers have outputs last, and parameters that are left as stored first.
    const shape = tensor.shape.map((size, axis) => (axis === (layout === 'plain' ? 0 : tensor.rank - 1) ? size : 1));
    return tf.tidy(() => tf.mul(tensor, tf.tensor(scale, shape)));
  } finally {
    tensor.dispose();
  }
}

/** Elements of whole rows and whole blocks, as many as go into a slice. */
function sliceOf(width: number, block: number): number {
  const rows = block / greatestDivisor(width, block);
  return Math.max(1, Math.floor(SLICE / (width * rows))) * width * rows;
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** The same for a parameter whose bytes are all at hand. @throws ShapeError when they are not as many as it has */
export function prepareWhole(
  parameter: Parameter,
  stored: Stored,
  bytes: Uint8Array<ArrayBuffer>,
  options: PrepareOptions = {},
): tf.Tensor {
  const { dtype } = stored;
  const size = elements(parameter.shape);
  if (bytes.length !== storedBytes(dtype, size)) {
    const given = bytes.length / storedBytes(dtype, 1);
    throw new ShapeError(`${parameter.name} has ${size} values, but ${given} were given.`);
  }
  const made = options.native && nativelyMade(options.native, asStored(parameter, stored), stored, bytes);
  if (made) return computable(parameter, made, options);
  const preparation = prepare(parameter, stored, options);
  for (const slice of preparation.slices) {
    const begin = storedBytes(dtype, slice.start);
    preparation.add(bytes.subarray(begin, begin + storedBytes(dtype, slice.count)), slice);
  }
  return preparation.finish();
}

/**
 * Reads a parameter of a checkpoint and prepares it; the caller owns the tensor. TensorFlow decodes and lays out several
 * times as fast as JavaScript, where it is there. Memory beside the result: a slice, or with TensorFlow twice the stored
 * bytes and the buffer, `WHOLE` bytes at most each unless a LoRA is merged, which takes a whole parameter in any case.
 * @throws CheckpointError
 */
export async function readPrepared(
  source: TensorSource,
  parameter: Parameter,
  { merges, buffer, ...options }: ReadOptions = {},
): Promise<tf.Tensor> {
  const { name } = parameter;
  const stored = storedIn(source, name);
  const merge = await merges?.of(parameter, other => readPrepared(source, other));
  const native = nativeMaker();
  if (native && (merge || isReadWhole(source, parameter))) {
    return readWhole(source, parameter, { ...options, native, merge, buffer });
  }
  const preparation = prepare(parameter, stored, { ...options, merge });
  for (const slice of preparation.slices) preparation.add(await source.readRaw(name, slice), slice);
  return preparation.finish();
}

/** Whether TensorFlow is given the stored bytes of a parameter, where nothing is merged into it. */
function isReadWhole(source: TensorSource, parameter: Parameter): boolean {
  const stored = storedIn(source, parameter.name);
  const bytes = storedBytes(stored.dtype, elements(parameter.shape));
  return bytes <= WHOLE && isMadeNatively(asStored(parameter, stored), stored.dtype);
}

/**
 * Memory for the stored bytes of any of some parameters: new memory for each would wait for the garbage collector.
 * @returns nothing where none of them is read whole
 */
export function bufferFor(source: TensorSource, table: readonly Parameter[]): Uint8Array<ArrayBuffer> | undefined {
  if (!nativeMaker()) return undefined;
  const whole = table.filter(parameter => isReadWhole(source, parameter));
  const most = whole.reduce((bytes, { name }) => Math.max(bytes, source.entry(name).bytes), 0);
  return most > 0 ? pageAlignedBytes(most) : undefined;
}

async function readWhole(
  source: TensorSource,
  parameter: Parameter,
  { buffer, ...options }: Omit<ReadOptions, 'merges'>,
): Promise<tf.Tensor> {
  const { name } = parameter;
  const stored = storedIn(source, name);
  const bytes = await bytesOf(source, name, buffer);
  let sum: tf.Tensor | undefined;
  const onFloat32 = (tensor: tf.Tensor): void => {
    if (options.checkFinite) sum = tf.sum(tensor);
  };
  const made = prepareWhole(parameter, stored, bytes, { ...options, isLent: true, onFloat32 });
  try {
    // A sum that is finite tells that all of its terms are.
    if (sum && !Number.isFinite((await sum.data())[0])) checkFinite(stored.decode(bytes), name, stored.file);
    return made;
  } catch (error) {
    made.dispose();
    throw error;
  } finally {
    sum?.dispose();
  }
}

async function bytesOf(
  source: TensorSource,
  name: string,
  buffer?: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { bytes } = source.entry(name);
  if (!buffer || buffer.length < bytes) return source.readRaw(name);
  const place = buffer.subarray(0, bytes);
  await source.readInto(name, place);
  return place;
}

/** How a source stores one of its tensors. */
export function storedIn(source: TensorSource, name: string): Stored {
  return { ...source.entry(name), decode: (bytes, start) => source.widen(name, bytes, start) };
}

/** How float32 values in memory are stored. @param isLaidOut whether they are as layers want them */
export function storedFloats(file: string, isLaidOut = false): Stored {
  return { dtype: 'F32', isLaidOut, file, decode: bytes => widenToFloat32(bytes, 'F32') };
}

/** Steps 3 and 4; the tensor that was given is used up. */
function computable(parameter: Parameter, decoded: tf.Tensor, options: PrepareOptions): tf.Tensor {
  options.onFloat32?.(decoded);
  const tensor = options.merge?.(decoded) ?? decoded;
  if (!isNarrow(parameter, options)) return tensor;
  try {
    return toBfloat16(tensor);
  } finally {
    tensor.dispose();
  }
}
