import type * as tf from '@tensorflow/tfjs-core';
import { type ComputeType, isBfloat16 } from '../nn/bfloat16';
import type { Parameter } from './parameters';

/** What a model is computed in, and which of its modules are blocks. */
export interface Computed {
  readonly dtype?: ComputeType | undefined;
  readonly blocks?: readonly string[] | undefined;
}

/** Whether a parameter is kept as bfloat16: matrices of blocks are. Embeddings, times and heads stay float32. */
export function isNarrow({ name, layout }: Parameter, { dtype, blocks = [] }: Computed): boolean {
  return dtype === 'bfloat16' && layout === 'matrix' && blocks.some(block => name.startsWith(`${block}.`));
}

/** Bytes that a parameter takes. */
export function bytesOf(tensor: tf.Tensor): number {
  return tensor.size * (isBfloat16(tensor) ? 2 : 4);
}
