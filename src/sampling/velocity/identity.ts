import { Tensor } from '@tensorflow/tfjs-core';
import { requireList } from '../../io/arguments';
import { sha256 } from '../../io/sha256';

/** Whose policy it is: a policy fits the model that it was calibrated for, and no other. */
export interface ModelIdentity {
  /** Short name, for people. */
  readonly id: string;
  /** Identifies the weights, for example by `hashTensors`. */
  readonly hash: string;
  /** What kind of model it is; `function` unless given. */
  readonly class?: string;
}

/** Functions without an identity: their policies fit each other, and nobody else's. */
export const UNNAMED: ModelIdentity = { id: 'function', hash: 'unnamed' };

/**
 * The identity of weights: SHA-256 over their shapes and values, in this order.
 * @param tensors the weights, in a fixed order; they stay the caller's
 * @returns 64 hexadecimal digits
 * @example
 * const model = { id: 'my-denoiser', hash: await hashTensors(layersModel.getWeights()) };
 */
export async function hashTensors(tensors: readonly Tensor[]): Promise<string> {
  requireList('tensors', tensors, item => item instanceof Tensor, 'a list of tensors');
  const hashes: string[] = [];
  for (const tensor of tensors) {
    const values = await tensor.data();
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    hashes.push(`${tensor.dtype} [${tensor.shape}] ${sha256(bytes)}`);
  }
  return sha256(hashes.join('\n'));
}
