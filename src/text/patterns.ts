/*
 * Parts of regular expressions with the meaning they have in Python, in which the pipelines' cleaning rules were
 * written: letters, digits and white space of every script. For use with the flag `u`.
 */

/** White space. Other than JavaScript's `\s` it holds the information separators and no byte order mark. */
export const SPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
/** Anything else. */
export const NON_SPACE = SPACE.replace('[', '[^');
/** A letter, a number or an underscore; the inside of a class. */
export const IN_WORD = '\\p{L}\\p{N}_';
/** The edge of a word. */
export const EDGE = `(?:(?<=[${IN_WORD}])(?![${IN_WORD}])|(?<![${IN_WORD}])(?=[${IN_WORD}]))`;
/** A decimal digit. */
export const DIGIT = '\\p{Nd}';

const ENDS = new RegExp(`^${SPACE}+|${SPACE}+$`, 'gu');
const RUNS = new RegExp(`${SPACE}+`, 'gu');

/** Without the white space around it. */
export function strip(text: string): string {
  return text.replace(ENDS, '');
}

/** In lower case, with the final sigma that both languages have. */
export function lower(text: string): string {
  return text.toLowerCase();
}

/** Every run of white space as one space. */
export function singleSpaces(text: string): string {
  return text.replace(RUNS, ' ');
}
