import { type FusedName, fusedOps } from '../nn/fused';
import type { RawOp } from '../nn/raw-op';

/** What a child process runs: operations one after the other, on made-up inputs. */
export interface Trial {
  readonly name: FusedName;
  readonly shapes: readonly (readonly number[])[];
  /** Each takes values by number, inputs first, and adds its result as a further one; the last is compared. */
  readonly steps: readonly (RawOp & { readonly inputs: readonly number[] })[];
  readonly expected: (inputs: readonly Float64Array[], shapes: readonly (readonly number[])[]) => Float64Array;
}

const EPS = 1e-6;
const on = (op: RawOp, ...inputs: number[]) => ({ ...op, inputs });
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

const softmax = (shape: Shape): Trial => ({
  name: 'softmax',
  shapes: [shape],
  steps: [on(fusedOps.softmax, 0)],
  expected: ([x]) =>
    byRow(x!, shape.at(-1)!, row => {
      const most = row.reduce((a, b) => Math.max(a, b));
      const powers = row.map(value => Math.exp(value - most));
      const sum = powers.reduce((a, b) => a + b);
      return powers.map(value => value / sum);
    }),
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
  layerNorm(3, 7),
  layerNorm(300, 768),
  swish([3, 7]),
  swish([300, 768]),
  complexTurn(3, 5),
  complexTurn(300, 384),
];

/** Input number `k` of a trial; the child makes the same numbers. */
export function trialInput(shape: Shape, k: number): Float64Array {
  const count = shape.reduce((a, b) => a * b, 1);
  return Float64Array.from({ length: count }, (_, i) => Math.fround(2 * Math.sin(0.7 * i + k)));
}
