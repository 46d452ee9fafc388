import * as tf from '@tensorflow/tfjs-core';
import type { Recorder } from './recorder';
import { type Attribute, type Numbers, type Operand, type TensorType, typeName } from './types';

type Inputs = Readonly<Record<string, tf.TensorInfo>> & readonly tf.TensorInfo[];
// biome-ignore lint/suspicious/noExplicitAny: the attributes of a kernel are its own; tfjs types them kernel by kernel.
type Attrs = any;
type Record1 = (recorder: Recorder, inputs: Inputs, attrs: Attrs) => tf.TensorInfo | tf.TensorInfo[];

const { assertAndGetBroadcastShape, computeOutAndReduceShapes } = tf.backend_util;

const single = (value: number): Numbers => ({ numbers: [value], shape: [] });
const list = (values: readonly number[]): Numbers => ({ numbers: values });
const integer = (value: number): Attribute => ({ i: String(value) });
const flag = (value: boolean): Attribute => ({ b: value });

/** An operation of one output. */
function one(
  recorder: Recorder,
  op: string,
  operands: readonly Operand[],
  output: TensorType,
  attributes: Readonly<Record<string, Attribute>> = {},
): tf.TensorInfo {
  const T = { type: typeName(output.dtype) };
  return recorder.emit({ op, operands, attributes: { T, ...attributes } }, [output])[0]!;
}

function cast(r: Recorder, x: tf.TensorInfo, dtype: tf.DataType): tf.TensorInfo {
  const types = { SrcT: { type: typeName(x.dtype) }, DstT: { type: typeName(dtype) } };
  return one(r, 'Cast', [r.refOf(x)], { shape: x.shape, dtype }, types);
}

const unary =
  (op: string, dtype?: tf.DataType): Record1 =>
  (r, { x }) =>
    one(r, op, [r.refOf(x!)], { shape: x!.shape, dtype: dtype ?? x!.dtype });

const binary =
  (op: string, dtype?: tf.DataType): Record1 =>
  (r, { a, b }) =>
    one(r, op, [r.refOf(a!), r.refOf(b!)], {
      shape: assertAndGetBroadcastShape(a!.shape, b!.shape),
      dtype: dtype ?? a!.dtype,
    });

const reduction =
  (op: string): Record1 =>
  (r, { x }, { axis, reductionIndices, keepDims }) => {
    const axes = tf.util.parseAxisParam(axis ?? reductionIndices, x!.shape);
    const [shape] = computeOutAndReduceShapes(x!.shape, axes) as [number[], number[]];
    const kept = keepDims ? x!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)) : shape;
    return one(
      r,
      op,
      [r.refOf(x!), list(axes)],
      { shape: kept, dtype: x!.dtype },
      { keep_dims: flag(Boolean(keepDims)) },
    );
  };

const matMul: Record1 = (r, { a, b }, { transposeA, transposeB }) => {
  const [rows, columns] = [a!.shape.at(transposeA ? -1 : -2), b!.shape.at(transposeB ? -2 : -1)] as [number, number];
  const batch = assertAndGetBroadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
  const isFlat = a!.shape.length === 2 && b!.shape.length === 2;
  const [first, second] = isFlat ? ['transpose_a', 'transpose_b'] : ['adj_x', 'adj_y'];
  return one(
    r,
    isFlat ? 'MatMul' : 'BatchMatMulV2',
    [r.refOf(a!), r.refOf(b!)],
    { shape: [...batch, rows, columns], dtype: a!.dtype },
    { [first!]: flag(transposeA), [second!]: flag(transposeB) },
  );
};

const concat: Record1 = (r, inputs, { axis }) => {
  const along = tf.util.parseAxisParam(axis, inputs[0]!.shape)[0]!;
  const shape = tf.backend_util.computeOutShape(
    [...inputs].map(t => t.shape),
    along,
  );
  const operands = [...[...inputs].map(t => r.refOf(t)), single(along)];
  return one(r, 'ConcatV2', operands, { shape, dtype: inputs[0]!.dtype }, { N: integer(inputs.length) });
};

const split: Record1 = (r, { x }, { numOrSizeSplits, axis }) => {
  const along = tf.util.parseAxisParam(axis, x!.shape)[0]!;
  const sizes: number[] = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, along);
  const outputs = sizes.map(size => ({ shape: x!.shape.map((d, i) => (i === along ? size : d)), dtype: x!.dtype }));
  const attributes = { T: { type: typeName(x!.dtype) }, num_split: integer(sizes.length) };
  const isEven = typeof numOrSizeSplits === 'number';
  const operands = isEven ? [single(along), r.refOf(x!)] : [r.refOf(x!), list(numOrSizeSplits), single(along)];
  return r.emit({ op: isEven ? 'Split' : 'SplitV', operands, attributes }, outputs);
};

const slice: Record1 = (r, { x }, { begin, size }) => {
  const [start, length] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size) as [number[], number[]];
  // What was asked for, not what it came to: "the rest" is the rest at every size.
  const asked = length.map((n, i) => ([size].flat()[i] === -1 || [size].flat()[i] === undefined ? -1 : n));
  return one(r, 'Slice', [r.refOf(x!), list(start), list(asked)], { shape: length, dtype: x!.dtype });
};

const gather: Record1 = (r, { x, indices }, { axis, batchDims }) => {
  const along = tf.util.parseAxisParam(axis, x!.shape)[0]!;
  const { collectGatherOpShapeInfo } = tf.backend_util.segment_util;
  const { outputShape } = collectGatherOpShapeInfo(x as tf.Tensor, indices as tf.Tensor, along, batchDims ?? 0);
  const operands = [r.refOf(x!), r.refOf(indices!), single(along)];
  return one(r, 'GatherV2', operands, { shape: outputShape, dtype: x!.dtype }, { batch_dims: integer(batchDims ?? 0) });
};

const pad: Record1 = (r, { x }, { paddings, constantValue }) => {
  const shape = x!.shape.map((size, i) => paddings[i][0] + size + paddings[i][1]);
  const by: Numbers = { numbers: (paddings as number[][]).flat(), shape: [shape.length, 2] };
  const value = r.refOf(
    r.emit({ op: 'Const', values: Float32Array.of(constantValue) }, [{ shape: [], dtype: x!.dtype }])[0]!,
  );
  return one(r, 'PadV2', [r.refOf(x!), by, value], { shape, dtype: x!.dtype });
};

/** How each of tfjs's kernels is written in a TensorFlow graph, and what shape comes of it. */
const kernels: Readonly<Record<string, Record1>> = {
  ...Object.fromEntries(
    ['Abs', 'Ceil', 'Cos', 'Elu', 'Erf', 'Exp', 'Floor', 'Log', 'Neg', 'Reciprocal', 'Relu', 'Round', 'Rsqrt'].map(
      name => [name, unary(name)],
    ),
  ),
  ...Object.fromEntries(['Sigmoid', 'Sin', 'Softplus', 'Sqrt', 'Square', 'Tanh'].map(name => [name, unary(name)])),
  Softmax: (r, { logits }) => one(r, 'Softmax', [r.refOf(logits!)], logits!),
  Add: binary('AddV2'),
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  RealDiv: binary('RealDiv'),
  FloorDiv: binary('FloorDiv'),
  Maximum: binary('Maximum'),
  Minimum: binary('Minimum'),
  Pow: binary('Pow'),
  SquaredDifference: binary('SquaredDifference'),
  ...Object.fromEntries(
    ['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual'].map(name => [name, binary(name, 'bool')]),
  ),
  Select: (r, { condition, t, e }) => {
    const shape = assertAndGetBroadcastShape(condition!.shape, assertAndGetBroadcastShape(t!.shape, e!.shape));
    return one(r, 'SelectV2', [r.refOf(condition!), r.refOf(t!), r.refOf(e!)], { shape, dtype: t!.dtype });
  },
  Mean: reduction('Mean'),
  Sum: reduction('Sum'),
  Max: reduction('Max'),
  Min: reduction('Min'),
  BatchMatMul: matMul,
  Concat: concat,
  Pack: (r, inputs, { axis }) => {
    const { shape, dtype } = inputs[0]!;
    const along = axis < 0 ? axis + shape.length + 1 : axis;
    const stacked = [...shape.slice(0, along), inputs.length, ...shape.slice(along)];
    const operands = [...inputs].map(t => r.refOf(t));
    return one(r, 'Pack', operands, { shape: stacked, dtype }, { axis: integer(along), N: integer(inputs.length) });
  },
  SplitV: split,
  Slice: slice,
  GatherV2: gather,
  PadV2: pad,
  Tile: (r, { x }, { reps }) =>
    one(r, 'Tile', [r.refOf(x!), list(reps)], { shape: x!.shape.map((size, i) => size * reps[i]), dtype: x!.dtype }),
  Transpose: (r, { x }, { perm }) => {
    const shape = perm.map((axis: number) => x!.shape[axis]);
    const transposed = (of: tf.TensorInfo): tf.TensorInfo =>
      one(r, 'Transpose', [r.refOf(of), list(perm)], { shape, dtype: of.dtype });
    if (x!.dtype === 'float32') return transposed(x!);
    // WebGPU's program for it declares floats, and fails on integers in silence. Those here are indices, exact as float32.
    return cast(r, transposed(cast(r, x!, 'float32')), x!.dtype);
  },
  Reshape: (r, { x }, { shape }) => {
    const target = tf.util.inferFromImplicitShape(shape, tf.util.sizeFromShape(x!.shape));
    return one(r, 'Reshape', [r.refOf(x!), { numbers: target, isTarget: true }], { shape: target, dtype: x!.dtype });
  },
  ExpandDims: (r, { input }, { dim }) => {
    const at = dim < 0 ? dim + input!.shape.length + 1 : dim;
    const shape = [...input!.shape.slice(0, at), 1, ...input!.shape.slice(at)];
    return one(r, 'ExpandDims', [r.refOf(input!), single(at)], { shape, dtype: input!.dtype });
  },
  Fill: (r, _, { shape, value, dtype }) => {
    const type: tf.DataType = dtype ?? 'float32';
    const values = (
      type === 'float32' ? new Float32Array(tf.util.sizeFromShape(shape)) : new Int32Array(tf.util.sizeFromShape(shape))
    ).fill(value);
    return r.emit({ op: 'Const', values }, [{ shape, dtype: type }])[0]!;
  },
  Range: (r, _, { start, stop, step, dtype }) => {
    const values = Float32Array.from({ length: Math.ceil((stop - start) / step) }, (_value, i) => start + i * step);
    const typed = dtype === 'int32' ? Int32Array.from(values) : values;
    return r.emit({ op: 'Const', values: typed }, [{ shape: [values.length], dtype }])[0]!;
  },
  Cast: (r, { x }, { dtype }) => (x!.dtype === dtype ? r.alias(x!) : cast(r, x!, dtype)),
  Identity: (r, { x }) => r.alias(x!),
};

/** Registers every kernel for a backend of this name. */
export function registerKernels(backendName: string): void {
  for (const [kernelName, record] of Object.entries(kernels)) {
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend }) => record(backend as Recorder, inputs as unknown as Inputs, attrs ?? {}),
    });
  }
}

export function unregisterKernels(backendName: string): void {
  for (const { kernelName } of tf.getKernelsForBackend(backendName)) tf.unregisterKernel(kernelName, backendName);
}
