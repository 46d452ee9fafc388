import type { Tensor } from '@tensorflow/tfjs-core';

/** The parameters of one module. Tensors stay owned by the store that lent them: never dispose them. */
export interface Params {
  /**
   * The tensor of this name inside this module.
   * @param name relative to the module, such as `weight`
   * @returns the tensor; the store's, never dispose it
   * @throws CheckpointError `missing_key`, naming the full key
   */
  tensor(name: string): Tensor;
  /**
   * Whether the module has a tensor of this name.
   * @param name relative to the module
   * @returns whether it is there
   */
  has(name: string): boolean;
  /**
   * The sub-module called `prefix`: `at('attn.to_q').tensor('weight')`.
   * @param prefix relative to the module, such as `attn.to_q`
   * @returns the parameters of the sub-module
   */
  at(prefix: string): Params;
}
