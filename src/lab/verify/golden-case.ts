import type { Tensor } from '@tensorflow/tfjs-core';
import type { ComputeType } from '../../nn/bfloat16';

/** A tensor of a golden case. */
export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** Inputs and expected outputs of one run of a reference implementation. */
export interface GoldenCase {
  readonly folder: string;
  readonly name: string;
  /** Which kind of case it is: `transformers`, `schedulers`, … */
  readonly group: string;
  /** The reference class, as `config.json` names it. */
  readonly className: string;
  readonly config: unknown;
  /** Arguments of the reference's call that are not tensors. */
  readonly call: Readonly<Record<string, unknown>>;
  /** `in.*`, by name without the prefix. */
  readonly inputs: ReadonlyMap<string, GoldenTensor>;
  /** `out.*`, by name without the prefix. */
  readonly expected: ReadonlyMap<string, GoldenTensor>;
  /** Largest absolute error that still passes. */
  tolerance(name: string): number;
}

/** Hands over one output. The data are copied; a tensor stays its owner's. Names not expected are ignored. */
export type Produce = (name: string, value: Tensor | ArrayLike<number>) => void;

/** Runs what a case names on its inputs and hands over every output it can make, in `dtype` where it runs blocks. */
export type CaseRunner = (golden: GoldenCase, produce: Produce, dtype?: ComputeType) => Promise<void>;
