import { UnsupportedError } from '../../errors';
import { type Expression, evaluate, type Size, sizeKey } from '../../models/sizes';
import { interpolate, type Varied } from './interpolate';
import { isNumbers, type Numbers, type Operand, type Ref, type TracedNode, type Values } from './trace/types';

/** Whole numbers of which some are derived from sizes. */
export interface Vector {
  readonly values: readonly (number | Expression)[];
  readonly shape: readonly number[];
}

/** An operation that holds at every size. */
export interface GraphNode extends Omit<TracedNode, 'operands' | 'outputs'> {
  readonly operands: readonly (Ref | Vector)[];
  /** Shape of every output, -1 where it varies. */
  readonly shapes: readonly (readonly number[])[];
  readonly dtype: TracedNode['outputs'][number]['dtype'];
  /** The value of a constant that is the same everywhere and whose shape varies. */
  readonly fill?: number;
}

/** A model recorded at several sizes. */
export interface Recordings {
  readonly varied: readonly Varied[];
  /** One recording for every choice of low and high, in the order of {@link interpolate}. */
  readonly corners: readonly (readonly TracedNode[])[];
  /** A further recording, on which what was found is tried. */
  readonly trial: { readonly nodes: readonly TracedNode[]; readonly value: (size: Size) => number };
}

/**
 * Makes one graph of several recordings: what is the same in all stays, and every number that differs becomes an
 * expression in the sizes.
 * @throws UnsupportedError where the model's operations, or its tables, depend on the sizes in a way that a graph
 * cannot follow
 */
export function unify(recordings: Recordings): GraphNode[] {
  const { corners, trial } = recordings;
  const [first] = corners as [readonly TracedNode[]];
  for (const other of [...corners, trial.nodes]) {
    if (other.length === first.length) continue;
    const at = first.findIndex((node, i) => other[i]?.op !== node.op);
    throw sizeBound('runs other operations', first[at]?.scope);
  }
  return first.map((node, index) =>
    unifyNode(
      node,
      corners.map(nodes => nodes[index]!),
      trial.nodes[index]!,
      recordings,
    ),
  );
}

function unifyNode(node: TracedNode, all: readonly TracedNode[], last: TracedNode, recordings: Recordings): GraphNode {
  const key = ({ op, name, attributes, operands }: TracedNode): string =>
    JSON.stringify([op, name, attributes, operands.map(o => (isNumbers(o) ? o.numbers.length : o))]);
  if ([...all, last].some(other => key(other) !== key(node))) throw sizeBound('runs other operations', node.scope);

  const solve = (values: readonly number[], atTrial: number): number | Expression => {
    const expression = solved(values, atTrial, recordings);
    if (expression === undefined) throw sizeBound('makes a shape', node.scope);
    return expression;
  };
  const shapes = node.outputs.map(({ shape }, o) =>
    shape.map((size, axis) => ([...all, last].every(n => n.outputs[o]!.shape[axis] === size) ? size : -1)),
  );
  const operands = node.operands.map((operand, i): Ref | Vector => {
    if (!isNumbers(operand)) return operand;
    const numbersOf = (n: TracedNode): Numbers => n.operands[i] as Operand as Numbers;
    const shape = operand.shape ?? [operand.numbers.length];
    const same = operand.numbers.map((value, at) => [...all, last].every(n => numbersOf(n).numbers[at] === value));
    if (operand.isTarget && same.filter(isSame => !isSame).length === 1) {
      return { shape, values: operand.numbers.map((value, at) => (same[at] ? value : -1)) };
    }
    const values = operand.numbers.map((value, at) => {
      if (operand.expressions) return operand.expressions[at] ?? value;
      if (same[at]) return value;
      return solve(
        all.map(n => numbersOf(n).numbers[at]!),
        numbersOf(last).numbers[at]!,
      );
    });
    return { shape, values };
  });
  const { op, name, scope, attributes, outputs } = node;
  const base = { op, name, scope, attributes, operands, shapes, dtype: outputs[0]!.dtype };
  return node.values ? { ...base, ...constant(node, [...all, last], recordings) } : base;
}

/** A constant is the same in all recordings, or has one value everywhere and a shape that can be told. */
function constant(
  node: TracedNode,
  all: readonly TracedNode[],
  recordings: Recordings,
): Pick<GraphNode, 'values' | 'fill' | 'operands'> {
  const values = node.values!;
  if (all.every(other => equal(other.values!, values))) return { values, operands: [] };
  const fill = values[0] ?? 0;
  if (all.some(other => other.values!.some(v => v !== fill))) throw sizeBound('computes a table', node.scope);
  const shape = node.outputs[0]!.shape.map((size, axis) => {
    const sizes = all.map(other => other.outputs[0]!.shape[axis]!);
    if (sizes.every(s => s === size)) return size;
    const expression = solved(sizes.slice(0, -1), sizes.at(-1)!, recordings);
    if (expression === undefined) throw sizeBound('makes a shape', node.scope);
    return expression;
  });
  return { fill, operands: [{ values: shape, shape: [shape.length] }] };
}

function solved(values: readonly number[], atTrial: number, { varied, trial }: Recordings): Expression | undefined {
  const expression = interpolate(values, varied);
  if (!expression || evaluate(expression, trial.value) !== atTrial) return undefined;
  return expression;
}

function equal(a: Values, b: Values): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}

function sizeBound(what: string, scope = 'graph'): UnsupportedError {
  return new UnsupportedError(
    `The model ${what} in ${scope} that no graph of all sizes holds, so it cannot be exported.`,
    {
      hint: 'Let shapes be sums and products of the sizes of inputs, and give tables that depend on them as inputs.',
    },
  );
}

/** The values of sizes at a recording, by name. */
export function lookUpSize(values: ReadonlyMap<string, number>): (size: Size) => number {
  return size => values.get(sizeKey(size)) ?? Number.NaN;
}
