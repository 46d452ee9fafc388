import * as tf from '@tensorflow/tfjs-core';
import type { Parts } from './rectify';

/**
 * What runs look like that a method was calibrated on: how far guidance's two outputs lie apart at a step before any is
 * reused, relative to the conditional one. A run beyond these was never seen: an empty prompt, whose outputs are equal, or
 * a negative prompt that pulls harder than any did.
 */
export interface Familiar {
  /** The step that is looked at, from 0; every step up to it is computed. */
  readonly step: number;
  /** Smallest gap that was seen. */
  readonly from: number;
  /** Largest gap that was seen. */
  readonly to: number;
}

/** `mean|conditional - unconditional| / mean|conditional|` of every row; nothing where guidance has not these parts. */
export async function guidanceGap({ conditional, unconditional }: Parts): Promise<number[] | undefined> {
  if (!conditional || !unconditional) return undefined;
  const gap = tf.tidy(() => {
    const axes = conditional.shape.map((_, axis) => axis).slice(1);
    const size = (value: tf.Tensor): tf.Tensor => tf.mean(tf.abs(value), axes);
    return tf.divNoNan(size(tf.sub(conditional, unconditional)), size(conditional));
  });
  const values = [...(await gap.data<'float32'>())];
  gap.dispose();
  return values;
}

/** A tenth of what was seen is left on either side: pairs that were not seen vary a little more. */
const MARGIN = 0.1;

/** Whether a gap is within those that were seen, or nearly so. */
export function isFamiliar({ from, to }: Familiar, gap: number): boolean {
  return gap >= from * (1 - MARGIN) && gap <= to * (1 + MARGIN);
}
