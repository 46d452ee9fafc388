/*
 * What Unicode means to the references, which are written in Rust and Python, where JavaScript's own conveniences mean
 * something else: `\s` and `trim` hold the byte order mark, `toLowerCase` looks at a letter's neighbours.
 */

/** White space by the Unicode property, as Rust has it; the inside of a class, for the flag `u`. */
export const WHITE_SPACE = '\\p{White_Space}';
/** A character of a word, as Rust's regular expressions have it; the inside of a class. */
export const WORD_CHARACTER = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';

const WHITE = new RegExp(`^[${WHITE_SPACE}]$`, 'u');

/** Whether a character is white space. All of it lies in the basic plane, so a unit of UTF-16 is a character here. */
export function isWhiteSpace(character: string | undefined): boolean {
  return character !== undefined && WHITE.test(character);
}

/** Without the white space at its beginning. */
export function stripStart(text: string): string {
  let begin = 0;
  while (isWhiteSpace(text[begin])) begin++;
  return text.slice(begin);
}

/** Without the white space at its end. A loop, since `\s+$` looks at every run in the text, from each of its places. */
export function stripEnd(text: string): string {
  let end = text.length;
  while (isWhiteSpace(text[end - 1])) end--;
  return text.slice(0, end);
}

/**
 * In lower case, character by character. `toLowerCase` of a whole text has a form of sigma of its own for the end of a
 * word.
 */
export function lowerEach(text: string): string {
  return Array.from(text, character => character.toLowerCase()).join('');
}
