import { narrow, widen } from '../nn/bfloat16';
import { type FusedAfter, type FusedName, fusedOps } from '../nn/fused';
import type { RawOp } from '../nn/raw-op';

interface Step extends RawOp {
  readonly inputs: readonly number[];
  /** tfjs has no bfloat16: a result of it is registered as another type, and goes into further steps only. */
  readonly isNarrow?: true;
}

/** What a child process runs: operations one after the other, on made-up inputs. */
export interface Trial {
  readonly name: FusedName;
  readonly shapes: readonly (readonly number[])[];
  /** Each takes values by number, inputs first, and adds its result as a further one; the last is compared. */
  readonly steps: readonly Step[];
  /** How far a result may lie from `expected`, by its largest value; 1e-5 by default. */
  readonly tolerance?: number;
  readonly expected: (inputs: readonly Float64Array[], shapes: readonly (readonly number[])[]) => Float64Array;
}

const EPS = 1e-6;
const on = (op: RawOp, ...inputs: number[]): Step => ({ ...op, inputs });
const narrowOn = (op: RawOp, ...inputs: number[]): Step => ({ ...on(op, ...inputs), isNarrow: true });
type Shape = readonly number[];

function byRow(x: Float64Array, width: number, work: (row: Float64Array) => Float64Array): Float64Array {
  const out = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += width) out.set(work(x.subarray(at, at + width)), at);
  return out;
}

const matMul = (rows: number, inner: number, columns: number): Trial => ({
  name: 'matMul',
  shapes: [
    [rows, inner],
    [inner, columns],
  ],
  steps: [on(fusedOps.matMul, 0, 1)],
  expected([a, b]) {
    const out = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      for (let k = 0; k < inner; k++) {
        const factor = a![i * inner + k]!;
        for (let j = 0; j < columns; j++) out[i * columns + j]! += factor * b![k * columns + j]!;
      }
    }
    return out;
  },
});

/** `a · b` and a row, then GELU, in float64. */
const linearOf =
  (after: FusedAfter, [rows, inner, columns]: readonly [number, number, number]): Trial['expected'] =>
  ([a, b, bias]) =>
    matMul(rows, inner, columns)
      .expected([a!, b!], [])
      .map((product, i) => {
        const x = product + bias![i % columns]!;
        return after === 'plain' ? x : (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
      });

type Sizes = readonly [number, number, number];
const linearShapes = ([rows, inner, columns]: Sizes): Shape[] => [[rows, inner], [inner, columns], [columns]];

const linear = (after: FusedAfter, sizes: Sizes): Trial => ({
  name: 'linear',
  shapes: linearShapes(sizes),
  steps: [on(fusedOps.linear[after], 0, 1, 2)],
  expected: linearOf(after, sizes),
});

/** Factors of 8 bits, in sums of terms that nearly cancel: 0.022 measured. */
const ROUNDED = 2 ** -4;
const linearBfloat16 = (after: FusedAfter, sizes: Sizes): Trial => ({
  name: 'linearBfloat16',
  shapes: linearShapes(sizes),
  steps: [
    ...[0, 1, 2].map(input => narrowOn(narrow, input)),
    narrowOn(fusedOps.linearBfloat16[after], 3, 4, 5),
    on(widen, 6),
  ],
  tolerance: ROUNDED,
  expected: linearOf(after, sizes),
});

const softmaxOf =
  (shape: Shape): Trial['expected'] =>
  ([x]) =>
    byRow(x!, shape.at(-1)!, row => {
      const most = row.reduce((a, b) => Math.max(a, b));
      const powers = row.map(value => Math.exp(value - most));
      const sum = powers.reduce((a, b) => a + b);
      return powers.map(value => value / sum);
    });

const softmax = (shape: Shape): Trial => ({
  name: 'softmax',
  shapes: [shape],
  steps: [on(fusedOps.softmax, 0)],
  expected: softmaxOf(shape),
});

const softmaxBfloat16 = (shape: Shape): Trial => ({
  name: 'softmaxBfloat16',
  shapes: [shape],
  steps: [narrowOn(narrow, 0), narrowOn(fusedOps.softmaxBfloat16, 1), on(widen, 2)],
  tolerance: ROUNDED,
  expected: softmaxOf(shape),
});

const layerNorm = (rows: number, width: number): Trial => ({
  name: 'layerNorm',
  shapes: [[rows, width], [width], [width]],
  steps: [on(fusedOps.layerNorm(EPS), 0, 1, 2)],
  expected: ([x, gamma, beta]) =>
    byRow(x!, width, row => {
      const mean = row.reduce((a, b) => a + b) / width;
      const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / width;
      return row.map((value, i) => ((value - mean) / Math.sqrt(variance + EPS)) * gamma![i]! + beta![i]!);
    }),
});

const swish = (shape: Shape): Trial => ({
  name: 'swish',
  shapes: [shape],
  steps: [on(fusedOps.swish, 0)],
  expected: ([x]) => x!.map(value => value / (1 + Math.exp(-value))),
});

/** Pairs `[…, d, 2]` times pairs of the same shape. */
const complexTurn = (rows: number, width: number): Trial => ({
  name: 'complexTurn',
  shapes: [
    [rows, width, 2],
    [rows, width, 2],
  ],
  steps: [
    on(fusedOps.asComplex, 0),
    on(fusedOps.asComplex, 1),
    on(fusedOps.timesComplex, 2, 3),
    on(fusedOps.asFloat, 4),
  ],
  expected: ([a, b]) =>
    a!.map((value, i) =>
      i % 2 === 0 ? value * b![i]! - a![i + 1]! * b![i + 1]! : a![i - 1]! * b![i]! + value * b![i - 1]!,
    ),
});

/** A small odd size and one that is shared out to several threads, for each operation. */
export const trials: readonly Trial[] = [
  matMul(3, 7, 5),
  matMul(130, 96, 200),
  softmax([2, 3, 5, 7]),
  softmax([1, 4, 100, 300]),
  softmaxBfloat16([2, 3, 5, 7]),
  softmaxBfloat16([1, 4, 100, 300]),
  layerNorm(3, 7),
  layerNorm(300, 768),
  swish([3, 7]),
  swish([300, 768]),
  complexTurn(3, 5),
  complexTurn(300, 384),
  ...(['plain', 'geluTanh'] as const).flatMap(after => [
    linear(after, [3, 7, 5]),
    linear(after, [130, 96, 200]),
    linearBfloat16(after, [3, 7, 5]),
    linearBfloat16(after, [130, 96, 200]),
  ]),
];

/** Input number `k` of a trial; the child makes the same numbers. */
export function trialInput(shape: Shape, k: number): Float64Array {
  const count = shape.reduce((a, b) => a * b, 1);
  return Float64Array.from({ length: count }, (_, i) => Math.fround(2 * Math.sin(0.7 * i + k)));
}
