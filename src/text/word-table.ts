import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { count, MOST } from '../io/counts';

/** `tokenizer_config.json` of a word-level text table. */
export const wordTableConfig = z.object({
  max_length: count(MOST.tokens),
  pad_id: count(MOST.words, 0),
  null_id: count(MOST.words, 0),
  pattern: z.string(),
  stop_words: z.array(z.string()),
});
export type WordTableConfig = z.infer<typeof wordTableConfig>;

export interface WordIds {
  /** `max_length` ids, padded. */
  readonly ids: number[];
  /** Words of the prompt that the table does not hold; they are dropped, as the model never saw them. */
  readonly unknown: string[];
}

export interface WordTable {
  readonly words: ReadonlyMap<string, number>;
  encode(prompt: string): WordIds;
}

/** The tokenizer of the embedded models: lower case, known words only, stop words dropped. */
export function createWordTable(config: WordTableConfig, vocabulary: Readonly<Record<string, number>>): WordTable {
  const words = new Map(Object.entries(vocabulary));
  const stop = new Set(config.stop_words);
  return {
    words,
    encode(prompt) {
      const found = (prompt.toLowerCase().match(new RegExp(config.pattern, 'g')) ?? []).filter(w => !stop.has(w));
      const unknown = found.filter(w => !words.has(w));
      // Cut first, then drop: the order in which the training captions were made.
      const known = found.slice(0, config.max_length).flatMap(w => words.get(w) ?? []);
      const ids = known.length > 0 ? known : [config.null_id];
      return { ids: [...ids, ...Array<number>(config.max_length - ids.length).fill(config.pad_id)], unknown };
    },
  };
}

/** Text states `[B, T, E]` and their mean over the words that are not padding, `[B, E]`; both the caller's. */
export function embedWords(
  table: tf.Tensor2D,
  ids: readonly (readonly number[])[],
  padId: number,
): { states: tf.Tensor3D; pooled: tf.Tensor2D } {
  return tf.tidy(() => {
    const tokens = tf.tensor2d(ids as number[][], undefined, 'int32');
    const states = tf.gather(table as tf.Tensor, tokens) as tf.Tensor3D;
    const real = tf.expandDims(tf.tensor2d(ids.map(row => row.map(id => (id === padId ? 0 : 1)))), -1);
    const pooled = tf.div(tf.sum(tf.mul(states, real), 1), tf.sum(real, 1)) as tf.Tensor2D;
    return { states, pooled };
  });
}
