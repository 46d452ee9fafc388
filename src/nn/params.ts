import type { Tensor } from '@tensorflow/tfjs-core';

/** The parameters of one module. Tensors stay owned by the store that lent them: never dispose them. */
export interface Params {
  /** The tensor called `name` inside this module; throws a CheckpointError naming the full key when absent. */
  tensor(name: string): Tensor;
  /** Whether the module has a tensor of this name. */
  has(name: string): boolean;
  /** The sub-module called `prefix`: `at('attn.to_q').tensor('weight')`. */
  at(prefix: string): Params;
}
