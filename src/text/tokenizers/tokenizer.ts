import { UsageError } from '../../errors';

/** A prompt at the length that a text encoder takes. */
export interface PaddedIds {
  readonly ids: number[];
  /** 1 for a token of the prompt, its special tokens included; 0 for padding. */
  readonly mask: number[];
  /** Tokens of the prompt that did not fit. */
  readonly cut: number;
}

/** Turns a prompt into the numbers that a text encoder takes. */
export interface Tokenizer {
  /** Special tokens included, at whatever length the prompt has. */
  encode(text: string): number[];
  /** Cut or padded to `length`; a cut prompt still ends as a whole one does. */
  pad(text: string, length: number): PaddedIds;
  /** The piece of text, or the name of the special token, that an id stands for. */
  piece(id: number): string;
  /** Most tokens that the encoder was made for, where the files say so. */
  readonly maxLength: number | undefined;
}

/** What one kind of tokenizer is made of. */
export interface TokenizerParts {
  /** Ids of the text alone. */
  readonly body: (text: string) => number[];
  readonly piece: (id: number) => string;
  /** Special tokens before and after the text. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly padId: number;
  readonly maxLength?: number | undefined;
}

export function createTokenizer(parts: TokenizerParts): Tokenizer {
  const { body, piece, before, after, padId, maxLength } = parts;
  return {
    maxLength,
    piece,
    encode: text => [...before, ...body(text), ...after],
    pad(text, length) {
      const room = length - before.length - after.length;
      if (!Number.isInteger(length) || room < 0) {
        throw new UsageError(`A prompt cannot be brought to ${length} tokens.`, {
          hint: `Ask for at least ${before.length + after.length}, the special tokens.`,
        });
      }
      const all = body(text);
      const ids = [...before, ...all.slice(0, room), ...after];
      const padding = length - ids.length;
      return {
        ids: [...ids, ...Array<number>(padding).fill(padId)],
        mask: [...Array<number>(ids.length).fill(1), ...Array<number>(padding).fill(0)],
        cut: Math.max(0, all.length - room),
      };
    },
  };
}
