import { CheckpointError } from '../../errors';
import { tokenSplitter } from './added-tokens';
import type { AddedToken } from './schemas';
import type { Normalizer, Splitter } from './text-steps';

/** How every tokenizer goes from a text to ids, whatever it cuts words by. */
export interface PieceParts {
  readonly added: readonly AddedToken[];
  readonly normalize: Normalizer;
  readonly split: Splitter;
  /** Cuts a word into pieces of the vocabulary. */
  readonly cut: (word: string) => readonly number[];
}

/** Added tokens are taken out first, then the rest is normalised, split into words, and cut. */
export function textToIds({ added, normalize, split, cut }: PieceParts): (text: string) => number[] {
  const splitRaw = tokenSplitter(added.filter(token => !token.normalized));
  const splitNormalized = tokenSplitter(
    added
      .filter(token => token.normalized)
      .map(token => ({ ...token, content: normalize(token.content) }))
      .filter(token => token.content !== ''),
  );
  const words = (raw: string, first: boolean): number[] =>
    splitNormalized(normalize(raw)).flatMap((part, i) =>
      typeof part === 'number' ? [part] : split(part, first && i === 0).flatMap(cut),
    );
  return text => splitRaw(text).flatMap((part, i) => (typeof part === 'number' ? [part] : words(part, i === 0)));
}

/** The error of a special token that no id belongs to. */
export function lacksToken(where: string, name: string): CheckpointError {
  return new CheckpointError(
    'config_json',
    `${where} names the special token ${JSON.stringify(name)}, which its vocabulary lacks.`,
    { hint: 'Take all files of the tokenizer from one repository.' },
  );
}
