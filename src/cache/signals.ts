import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { parseState, type State, tensorState } from '../nn/state';
import type { Decision, GuidedOutput } from './policy';
import { type Signals, signalNames } from './signal';

/** Reads the signals of one run at some of its steps. Without such steps it keeps nothing and costs nothing. */
export interface SignalReader {
  /**
   * @param index which step, from 0
   * @param corrected what was made of the output; like the output it stays the caller's
   * @returns the signals of every row, at a step that is looked at and was computed
   */
  read(
    index: number,
    output: GuidedOutput,
    corrected: tf.Tensor,
    decision: Decision,
  ): Promise<readonly Signals[] | undefined>;
  /** Bytes that it holds. */
  bytes(): number;
  state(): State;
  restore(state: State): void;
  dispose(): void;
}

const lastForm = z.array(tensorState).max(1);

/** @param steps the steps that are looked at */
export function signalReader(steps: readonly number[] = []): SignalReader {
  const looked = new Set(steps);
  let last: tf.Tensor | undefined;
  return {
    async read(index, output, corrected, decision) {
      if (looked.size === 0 || decision !== 'compute') return undefined;
      const before = last;
      last = output.value.clone();
      try {
        return looked.has(index) ? await signalsOf(output, corrected, before) : undefined;
      } finally {
        before?.dispose();
      }
    },
    bytes: () => (last ? last.size * 4 : 0),
    state: () => (last ? [last] : []),
    restore(state) {
      const [kept] = parseState(lastForm, state);
      last?.dispose();
      last = kept?.clone();
    },
    dispose() {
      last?.dispose();
      last = undefined;
    },
  };
}

async function signalsOf({ value, parts }: GuidedOutput, corrected: tf.Tensor, last = value): Promise<Signals[]> {
  const { conditional = value, unconditional = conditional } = parts;
  const rows = value.shape[0] as number;
  // One reduction and one transfer for all of them: on small models every operation counts.
  const sizes = tf.tidy(() => {
    const all = tf.stack([value, tf.sub(corrected, value), tf.sub(value, last), tf.sub(conditional, unconditional)]);
    return tf.mean(tf.square(tf.reshape(all, [signalNames.length + 1, rows, -1])), 2);
  });
  const values = await sizes.data<'float32'>();
  sizes.dispose();
  return Array.from({ length: rows }, (_, row) => {
    const size = (signal: number): number => Math.sqrt(values[signal * rows + row] as number);
    const share = (signal: number): number => (size(0) > 0 ? size(signal) / size(0) : 0);
    return { correction: share(1), change: share(2), gap: share(3) };
  });
}
