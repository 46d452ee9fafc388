import { z } from 'zod';

/** A token that is recognised in a prompt before the prompt is cut into pieces. */
export const addedToken = z.object({
  id: z.int().nonnegative(),
  content: z.string().min(1),
  /** Takes the white space before it, or after it, with it. */
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  /** Only where no letter or digit touches it. */
  single_word: z.boolean().default(false),
  /** Is looked for in the normalised text. */
  normalized: z.boolean().default(false),
});
export type AddedToken = z.infer<typeof addedToken>;

/** A token that is taken exactly as it is written. */
export function exactToken(content: string, id: number): AddedToken {
  return addedToken.parse({ content, id });
}

/** Ids of the tokens in a text, and the text between them, in order. */
export type TokenSplitter = (text: string) => (number | string)[];

/** Where two tokens begin at the same place the longer one is taken. */
export function tokenSplitter(tokens: readonly AddedToken[]): TokenSplitter {
  if (tokens.length === 0) return text => [text];
  const ids = new Map(tokens.map(token => [token.content, token.id]));
  const alternatives = [...tokens].sort((a, b) => b.content.length - a.content.length).map(source);
  const pattern = new RegExp(alternatives.join('|'), 'gu');
  return text => {
    const parts: (number | string)[] = [];
    let end = 0;
    for (const match of text.matchAll(pattern)) {
      if (match.index > end) parts.push(text.slice(end, match.index));
      parts.push(ids.get(match[0]) ?? (ids.get(match[0].trim()) as number));
      end = match.index + match[0].length;
    }
    if (end < text.length) parts.push(text.slice(end));
    return parts;
  };
}

function source({ content, lstrip, rstrip, single_word }: AddedToken): string {
  const literal = content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  const word = '[\\p{L}\\p{N}_]';
  const whole = single_word ? `(?<!${word})${literal}(?!${word})` : literal;
  return `${lstrip ? '\\s*' : ''}${whole}${rstrip ? '\\s*' : ''}`;
}
