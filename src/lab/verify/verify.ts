import * as tf from '@tensorflow/tfjs-core';
import { UnsupportedError } from '../../errors';
import { type ComputeType, requireComputeType } from '../../nn/bfloat16';
import { runCache } from './caches';
import { runCheckpoint } from './checkpoints';
import type { CaseRunner, GoldenCase, GoldenTensor, Produce } from './golden-case';
import { loadCase } from './load-case';
import { runLora } from './loras';
import { runMetrics } from './metrics';
import { runPipeline } from './pipelines';
import { runQuantized } from './quantized';
import { runRandom } from './random';
import { runScheduler } from './schedulers';
import { runTextCleaning } from './text-cleaning';
import { runTextEncoder } from './text-encoders';
import { runTokenizer } from './tokenizers';
import { runTransformer } from './transformers';
import { runAutoencoder } from './vaes';
import { valuesOf } from './values-of';

/** One output compared with the reference. */
export interface Comparison {
  readonly name: string;
  /** How `error` is measured: the largest absolute one by default. */
  readonly measure?: 'relative RMS';
  /** Infinite when the shapes differ or a value is NaN where the reference has a number. */
  readonly error: number;
  readonly tolerance: number;
  readonly passed: boolean;
}

export interface CaseReport {
  readonly folder: string;
  readonly case: string;
  readonly checked: number;
  /** How many outputs the case expects. */
  readonly expected: number;
  /** Every output that was checked is within its tolerance, and at least one was. */
  readonly passed: boolean;
  readonly comparisons: readonly Comparison[];
  /** Expected outputs that nothing produced. */
  readonly unchecked: readonly string[];
}

/**
 * Relative RMS of a transformer's outputs in bfloat16 that still passes. Rounding to its 8 bits moves a value by up to
 * 2⁻⁹ (0.2 %) of itself; every product rounds both factors and the result, and the errors of some tens of products in
 * a row add up like random steps, to a few of such units. Ten leave room for that; a wrong layer is off by far more.
 */
const BFLOAT16_TOLERANCE = 0.02;

/** One runner for every kind of golden case. */
const runners: Readonly<Record<string, CaseRunner>> = {
  transformers: runTransformer,
  schedulers: runScheduler,
  vaes: runAutoencoder,
  pipelines: runPipeline,
  caches: runCache,
  checkpoints: runCheckpoint,
  quantized: runQuantized,
  lora: runLora,
  metrics: runMetrics,
  random: runRandom,
  tokenizers: runTokenizer,
  'text-cleaning': runTextCleaning,
  'text-encoders': runTextEncoder,
};

/** Kinds of cases that run the blocks of a transformer. */
const IN_BFLOAT16: readonly string[] = ['transformers', 'quantized', 'lora'];

/**
 * Runs one golden case on the active backend and compares every output that can be made.
 * @param options in `bfloat16` the outputs are measured by their relative RMS error from the float32 reference
 * @throws UnsupportedError for a kind of case that cannot be run, or not in that type
 */
export async function verifyCase(
  folder: string,
  { dtype = 'float32' }: { readonly dtype?: ComputeType } = {},
): Promise<CaseReport> {
  const golden = await loadCase(folder);
  const runner = Object.hasOwn(runners, golden.group) ? runners[golden.group] : undefined;
  if (!runner) {
    throw new UnsupportedError(`Cases of the kind "${golden.group}" cannot be run.`, {
      hint: `Known kinds: ${Object.keys(runners).join(', ')}.`,
    });
  }
  if (dtype === 'bfloat16' && !IN_BFLOAT16.includes(golden.group)) {
    throw new UnsupportedError(`Cases of the kind "${golden.group}" are not run in bfloat16.`, {
      hint: `Give cases of ${IN_BFLOAT16.join(' or ')}, or omit --dtype.`,
    });
  }
  requireComputeType(dtype);
  const comparisons = new Map<string, Comparison>();
  const reads: Promise<void>[] = [];
  await runner(golden, collector(golden, comparisons, reads, dtype), dtype);
  await Promise.all(reads);
  const list = [...comparisons.values()];
  return {
    folder,
    case: `${golden.group}/${golden.name}`,
    checked: list.length,
    expected: golden.expected.size,
    passed: list.length > 0 && list.every(c => c.passed),
    comparisons: list,
    unchecked: [...golden.expected.keys()].filter(name => !comparisons.has(name)),
  };
}

/** Compares each output as it comes; what a GPU has not handed over yet is in `reads`. */
function collector(
  golden: GoldenCase,
  comparisons: Map<string, Comparison>,
  reads: Promise<void>[],
  dtype: ComputeType,
): Produce {
  return (name, value) => {
    const expected = golden.expected.get(name);
    if (!expected) return;
    if (!(value instanceof tf.Tensor)) compare(name, expected, value);
    else reads.push(valuesOf(value).then(values => compare(name, expected, values, value.shape)));
  };

  function compare(name: string, expected: GoldenTensor, values: ArrayLike<number>, shape?: readonly number[]): void {
    const sameShape = shape === undefined || sameSizes(shape, expected.shape);
    const isRelative = dtype === 'bfloat16';
    const distance = isRelative ? relativeRms : maxAbsError;
    const error = sameShape ? distance(values, expected.data) : Number.POSITIVE_INFINITY;
    const tolerance = isRelative ? BFLOAT16_TOLERANCE : golden.tolerance(name);
    const measure = isRelative ? ({ measure: 'relative RMS' } as const) : {};
    comparisons.set(name, { name, ...measure, error, tolerance, passed: error <= tolerance });
  }
}

/** Sizes that agree when axes of size 1 are left out. */
function sameSizes(a: readonly number[], b: readonly number[]): boolean {
  const long = (s: readonly number[]): string => s.filter(n => n !== 1).join();
  return long(a) === long(b);
}

/** Largest |actual - expected|; not-a-number and infinity agree only with themselves. */
export function maxAbsError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    if (Object.is(a, e) || a === e) continue;
    const error = Math.abs(a - e);
    if (Number.isNaN(error)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, error);
  }
  return worst;
}

/** Root of the mean square of actual - expected, by that of expected. */
export function relativeRms(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [apart, size] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i]) && !Number.isFinite(expected[i])) continue;
    apart += ((actual[i] as number) - (expected[i] as number)) ** 2;
    size += (expected[i] as number) ** 2;
  }
  if (apart === 0) return 0;
  const ratio = Math.sqrt(apart / size);
  return Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio;
}
