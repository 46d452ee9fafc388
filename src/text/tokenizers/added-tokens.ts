import { isWhiteSpace, WORD_CHARACTER } from '../unicode';
import type { AddedToken } from './schemas';

/** A token that is taken exactly as it is written. */
export function exactToken(content: string, id: number): AddedToken {
  return { content, id, lstrip: false, rstrip: false, single_word: false, normalized: false };
}

/** Ids of the tokens in a text, and the text between them, in order. */
export type TokenSplitter = (text: string) => (number | string)[];

const WORD_BEFORE = new RegExp(`[${WORD_CHARACTER}]$`, 'u');
const WORD_AFTER = new RegExp(`^[${WORD_CHARACTER}]`, 'u');

/**
 * Where two tokens begin at the same place the longer one is taken. Looked up by length and not by one regular
 * expression of all tokens: its work would grow with the number of tokens at every place of the text.
 */
export function tokenSplitter(tokens: readonly AddedToken[]): TokenSplitter {
  if (tokens.length === 0) return text => [text];
  const byContent = new Map(tokens.map(token => [token.content, token]));
  /** Lengths of the tokens that begin with a unit of UTF-16, the longest first. */
  const lengths = new Map<string, number[]>();
  for (const { content } of tokens) {
    const own = lengths.get(content[0] as string) ?? [];
    if (!own.includes(content.length)) own.push(content.length);
    lengths.set(content[0] as string, own);
  }
  for (const own of lengths.values()) own.sort((a, b) => b - a);

  function tokenAt(text: string, at: number): AddedToken | undefined {
    for (const length of lengths.get(text[at] as string) ?? []) {
      const token = byContent.get(text.slice(at, at + length));
      if (token && (!token.single_word || standsAlone(text, at, at + length))) return token;
    }
    return undefined;
  }

  return text => {
    const parts: (number | string)[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const token = tokenAt(text, at);
      if (!token) {
        at++;
        continue;
      }
      let begin = at;
      let end = at + token.content.length;
      if (token.lstrip) while (begin > done && isWhiteSpace(text[begin - 1])) begin--;
      if (token.rstrip) while (isWhiteSpace(text[end])) end++;
      if (begin > done) parts.push(text.slice(done, begin));
      parts.push(token.id);
      done = end;
      at = end;
    }
    if (done < text.length) parts.push(text.slice(done));
    return parts;
  };
}

/** Whether no character of a word touches a part of a text. */
function standsAlone(text: string, begin: number, end: number): boolean {
  return !WORD_BEFORE.test(text.slice(Math.max(0, begin - 2), begin)) && !WORD_AFTER.test(text.slice(end, end + 2));
}
