import { UsageError } from '../../errors';
import { requirePromptLength } from '../prompt-length';
import { droppedText } from './dropped';

/** A prompt at the length that a text encoder takes. */
export interface PaddedIds {
  readonly ids: number[];
  /** 1 for a token of the prompt, its special tokens included; 0 for padding. */
  readonly mask: number[];
  /** Tokens of the prompt that did not fit. */
  readonly cut: number;
}

/** What of a prompt a text encoder does not read. */
export interface Lost {
  /** Words with a character that the vocabulary lacks. */
  readonly unknown: string[];
  /** The end that did not fit, from the first word that is not taken whole. Empty where all of it fits. */
  readonly dropped: string;
}

/** Turns a prompt into the numbers that a text encoder takes. */
export interface Tokenizer {
  /** Special tokens included, at whatever length the prompt has. */
  encode(text: string): number[];
  /** Cut or padded to `length`; a cut prompt still ends as a whole one does. */
  pad(text: string, length: number): PaddedIds;
  /** What of a text is lost where it is cut or padded to `length`. */
  lost(text: string, length: number): Lost;
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
  /** What stands for a character that the vocabulary lacks, where there is such a token. */
  readonly unknownId?: number | undefined;
  readonly maxLength?: number | undefined;
}

export function createTokenizer(parts: TokenizerParts): Tokenizer {
  const { piece, before, after, padId, unknownId, maxLength } = parts;
  const body = (text: string): number[] => {
    requirePromptLength(text);
    return parts.body(text);
  };

  /** Tokens of the text that fit into `length` beside the special tokens. */
  function roomOf(length: number): number {
    const room = length - before.length - after.length;
    if (Number.isInteger(length) && room >= 0) return room;
    throw new UsageError(`A prompt cannot be brought to ${length} tokens.`, {
      hint: `Ask for at least ${before.length + after.length}, the special tokens.`,
    });
  }

  return {
    maxLength,
    piece,
    encode: text => [...before, ...body(text), ...after],
    pad(text, length) {
      const room = roomOf(length);
      const all = body(text);
      const ids = [...before, ...all.slice(0, room), ...after];
      const padding = length - ids.length;
      return {
        ids: [...ids, ...Array<number>(padding).fill(padId)],
        mask: [...Array<number>(ids.length).fill(1), ...Array<number>(padding).fill(0)],
        cut: Math.max(0, all.length - room),
      };
    },
    lost(text, length) {
      const room = roomOf(length);
      const all = body(text);
      const rest = all.length > room ? droppedText(text, room, beginning => body(beginning).length) : '';
      const taken = text.slice(0, text.length - rest.length);
      const hasUnknown = unknownId !== undefined && all.slice(0, room).includes(unknownId);
      const unknown = hasUnknown ? wordsOf(taken).filter(word => body(word).includes(unknownId)) : [];
      return { unknown: [...new Set(unknown)], dropped: rest.trim() };
    },
  };
}

/** Words and signs of a text, without the spaces between them. */
function wordsOf(text: string): string[] {
  const segments = new Intl.Segmenter('en', { granularity: 'word' }).segment(text);
  return Array.from(segments, ({ segment }) => segment).filter(segment => segment.trim() !== '');
}
