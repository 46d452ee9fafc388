import type { DataType } from '@tensorflow/tfjs-core';
import { type Expression, expressionKey, type Size, sizeKey } from '../../models/sizes';
import { type Attribute, type Ref, typeName, type Values } from './trace/types';
import type { GraphNode, Vector } from './unify';

/** A node of a GraphDef, as `model.json` holds it. */
export interface NodeDef {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr?: Readonly<Record<string, unknown>>;
}

/** A constant of a graph that is none of the model's weights. */
export interface GraphConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DataType;
  readonly values: Values;
}

export interface GraphDef {
  readonly nodes: readonly NodeDef[];
  readonly constants: readonly GraphConstant[];
}

const T = (dtype: DataType) => ({ T: { type: typeName(dtype) } });

/** Shape as an attribute. */
export function shapeAttribute(shape: readonly number[]): Attribute {
  return { shape: { dim: shape.map(size => ({ size: String(size) })) } };
}

/** Writes nodes as TensorFlow does; shapes that depend on sizes become small integer nodes beside them. */
export function graphDef(graph: readonly GraphNode[]): GraphDef {
  const nodes: NodeDef[] = [];
  const constants = new Map<string, GraphConstant>();
  const made = new Map<string, string>();
  const counts = new Map<string, number>();
  const names: string[] = [];

  function add(name: string, op: string, input: readonly string[], attr: Readonly<Record<string, unknown>>): string {
    nodes.push({ name, op, ...(input.length > 0 && { input }), attr });
    return name;
  }

  function numbered(scope: string, op: string): string {
    const key = `${scope}/${op}`;
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    return count === 0 ? key : `${key}_${count}`;
  }

  /** The same constant is held once. */
  function constant(values: Values, dtype: DataType, shape: readonly number[]): string {
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
    const key = [dtype, shape, bytes].join('|');
    const known = constants.get(key);
    if (known) return known.name;
    const name = `constants/${constants.size}`;
    constants.set(key, { name, shape, dtype, values });
    return add(name, 'Const', [], constAttributes(dtype, shape));
  }

  const integers = (values: readonly number[], shape: readonly number[] = [values.length]): string =>
    constant(Int32Array.from(values), 'int32', shape);

  /** A node that is made once. */
  function once(
    key: string,
    op: string,
    input: () => readonly string[],
    attr: Readonly<Record<string, unknown>>,
  ): string {
    const known = made.get(key);
    if (known !== undefined) return known;
    const name = add(numbered('sizes', op), op, input(), attr);
    made.set(key, name);
    return name;
  }

  const binary = (op: string, a: string, b: string): string => once(`${op}(${a},${b})`, op, () => [a, b], T('int32'));

  /** `[1]` */
  function sizeNode(size: Size): string {
    const shape = once(`Shape(${size.input})`, 'Shape', () => [size.input], {
      ...T('float32'),
      out_type: { type: 'DT_INT32' },
    });
    const length = once(`Slice(${shape},${size.axis})`, 'Slice', () => [shape, integers([size.axis]), integers([1])], {
      ...T('int32'),
      Index: { type: 'DT_INT32' },
    });
    if (size.unit === 1) return length;
    return binary('FloorDiv', binary('AddV2', length, integers([size.unit - 1])), integers([size.unit]));
  }

  /** `[1]` */
  function expressionNode(expression: Expression): string {
    const known = made.get(expressionKey(expression));
    if (known !== undefined) return known;
    const terms = expression.map(({ factor, sizes }) => {
      const product = [...sizes]
        .sort((a, b) => (sizeKey(a) < sizeKey(b) ? -1 : 1))
        .map(sizeNode)
        .reduce<string | undefined>((all, next) => (all === undefined ? next : binary('Mul', all, next)), undefined);
      if (product === undefined) return integers([factor]);
      return factor === 1 ? product : binary('Mul', product, integers([factor]));
    });
    const sum = terms.length === 0 ? integers([0]) : terms.reduce((all, next) => binary('AddV2', all, next));
    made.set(expressionKey(expression), sum);
    return sum;
  }

  function vectorNode({ values, shape }: Vector): string {
    if (values.every(value => typeof value === 'number')) return integers(values, shape);
    const pieces: string[] = [];
    for (let at = 0; at < values.length; ) {
      const run: number[] = [];
      for (; typeof values[at] === 'number'; at++) run.push(values[at] as number);
      if (run.length > 0) pieces.push(integers(run));
      else pieces.push(expressionNode(values[at++] as Expression));
    }
    const key = `Vector(${pieces})`;
    const joined =
      pieces.length === 1
        ? pieces[0]!
        : once(key, 'ConcatV2', () => [...pieces, integers([0], [])], {
            ...T('int32'),
            N: { i: String(pieces.length) },
          });
    if (shape.length <= 1) return joined;
    return once(`Reshape(${key},${shape})`, 'Reshape', () => [joined, integers(shape)], T('int32'));
  }

  const reference = ({ node, output }: Ref): string => (output === 0 ? names[node]! : `${names[node]}:${output}`);

  function write(node: GraphNode): string {
    const { op, scope, attributes, dtype, shapes } = node;
    const shape = shapes[0]!;
    if (node.fill !== undefined) {
      const value = constant(
        node.dtype === 'float32' ? Float32Array.of(node.fill) : Int32Array.of(node.fill),
        dtype,
        [],
      );
      return add(numbered(scope, 'Fill'), 'Fill', [vectorNode(node.operands[0] as Vector), value], T(dtype));
    }
    if (node.values) return constant(node.values, dtype, shape);
    const name = node.name ?? numbered(scope, op);
    if (op === 'Const') return add(name, op, [], constAttributes(dtype, shape));
    const isInput = op.startsWith('Placeholder');
    const attr = isInput ? { dtype: { type: typeName(dtype) }, shape: shapeAttribute(shape) } : attributes;
    const input = node.operands.map(operand => ('values' in operand ? vectorNode(operand) : reference(operand)));
    return add(name, op, input, attr);
  }

  for (const node of graph) names.push(write(node));
  return { nodes, constants: [...constants.values()] };
}

function constAttributes(dtype: DataType, shape: readonly number[]): Readonly<Record<string, unknown>> {
  const type = typeName(dtype);
  return {
    dtype: { type },
    value: { tensor: { dtype: type, tensorShape: { dim: shape.map(size => ({ size: String(size) })) } } },
  };
}
