import type * as tf from '@tensorflow/tfjs-core';
import { type ComputeType, isBfloat16, toBfloat16 } from '../nn/bfloat16';
import type { Parameter } from './parameters';

/** What a model is computed in, and which of its modules are blocks. */
export interface Computed {
  readonly dtype?: ComputeType;
  readonly blocks?: readonly string[];
}

/** Whether a parameter is kept as bfloat16: matrices of blocks are. Embeddings, times and heads stay float32. */
export function isNarrow({ name, layout }: Parameter, { dtype, blocks = [] }: Computed): boolean {
  return dtype === 'bfloat16' && layout === 'matrix' && blocks.some(block => name.startsWith(`${block}.`));
}

/** A parameter's tensor as layers are to have it; the one that was given is used up. */
export function narrowed(parameter: Parameter, tensor: tf.Tensor, computed: Computed): tf.Tensor {
  if (!isNarrow(parameter, computed)) return tensor;
  try {
    return toBfloat16(tensor);
  } finally {
    tensor.dispose();
  }
}

/** Bytes that a parameter takes. */
export function bytesOf(tensor: tf.Tensor): number {
  return tensor.size * (isBfloat16(tensor) ? 2 : 4);
}
