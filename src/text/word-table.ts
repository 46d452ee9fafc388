import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { count, MOST } from '../io/counts';
import { requirePromptLength } from './prompt-length';

/** A pattern of words that can be run on any text in time that grows with its length: characters of one class. */
const wordPattern = z.string().max(100).refine(isOneClass, 'is no class of characters such as [a-z0-9]+');

function isOneClass(pattern: string): boolean {
  if (!/^\[[^[\]\\^]+\]\+$/.test(pattern)) return false;
  try {
    new RegExp(pattern, 'g');
    return true;
  } catch {
    return false;
  }
}

/** `tokenizer_config.json` of a word-level text table. */
export const wordTableConfig = z.object({
  max_length: count(4096),
  pad_id: count(MOST.words, 0),
  null_id: count(MOST.words, 0),
  pattern: wordPattern,
  stop_words: z.array(z.string()),
});
export type WordTableConfig = z.infer<typeof wordTableConfig>;

export interface WordIds {
  /** `max_length` ids, padded. */
  readonly ids: number[];
  /**
   * Words of the prompt that the table does not hold, and those with letters that its words cannot have; they are dropped,
   * as the model never saw them.
   */
  readonly unknown: string[];
  /** Words beyond the number that the model takes. */
  readonly dropped: string[];
}

export interface WordTable {
  readonly words: ReadonlyMap<string, number>;
  /** Words that it takes, stop words not counted. */
  readonly maxLength: number;
  encode(prompt: string): WordIds;
}

/** The tokenizer of the embedded models: lower case, known words only, stop words dropped. */
export function createWordTable(config: WordTableConfig, vocabulary: Readonly<Record<string, number>>): WordTable {
  const words = new Map(Object.entries(vocabulary));
  const stop = new Set(config.stop_words);
  const isForeign = (word: string): boolean => new RegExp(`[^${config.pattern.slice(1, -2)}]`).test(word);
  return {
    words,
    maxLength: config.max_length,
    encode(prompt) {
      requirePromptLength(prompt);
      const text = prompt.toLowerCase();
      const wordsIn = (some: string): string[] => some.match(new RegExp(config.pattern, 'g')) ?? [];
      const found = wordsIn(text).filter(w => !stop.has(w));
      // The parts of such a word that the pattern matches were not written as words: "cora" of "coração".
      const foreign = (text.match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).filter(isForeign);
      const scraps = new Set(foreign.flatMap(wordsIn));
      // Cut first, then drop: the order in which the training captions were made.
      const [taken, dropped] = [found.slice(0, config.max_length), found.slice(config.max_length)];
      const unknown = [...new Set([...taken.filter(w => !words.has(w) && !scraps.has(w)), ...foreign])];
      const known = taken.flatMap(w => words.get(w) ?? []);
      const ids = known.length > 0 ? known : [config.null_id];
      return { ids: [...ids, ...Array<number>(config.max_length - ids.length).fill(config.pad_id)], unknown, dropped };
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
