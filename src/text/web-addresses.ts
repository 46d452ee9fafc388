import { EDGE, IN_WORD } from './patterns';

const IN_NAME = 'a-zA-Z0-9.-';
const DOMAIN = new RegExp(`[${IN_NAME}]+[.](?:com|co|ru|net|org|edu|gov|it)[${IN_WORD}/-]*${EDGE}/?(?!@)`, 'uy');
const NAME = new RegExp(`[${IN_NAME}]*`, 'uy');
const EDGES = new RegExp(EDGE, 'gu');

/**
 * A text without the addresses of one scheme and without domain names, as one regular expression of the two would find
 * them: at an edge of a word, the leftmost first. Tried at every edge, that expression takes the square of the time
 * where many edges lie in one name; here a name that holds no domain from one edge on is not tried again within it.
 * @param scheme a part of a regular expression, such as `https?`
 */
export function withoutAddresses(text: string, scheme: string): string {
  const begin = new RegExp(`${scheme}:(?:/{1,3}|[a-zA-Z0-9%])`, 'uy');
  const kept: string[] = [];
  let end = 0;
  let vain = 0;
  for (const { index } of text.matchAll(EDGES)) {
    if (index < end) continue;
    let after = endOf(begin, text, index);
    if (after === undefined && index >= vain) {
      after = endOf(DOMAIN, text, index);
      if (after === undefined) vain = endOf(NAME, text, index) ?? index;
    }
    if (after === undefined) continue;
    kept.push(text.slice(end, index));
    end = after;
  }
  return kept.join('') + text.slice(end);
}

/** Where a sticky expression's match at a place ends. */
function endOf(sticky: RegExp, text: string, at: number): number | undefined {
  sticky.lastIndex = at;
  return sticky.test(text) ? sticky.lastIndex : undefined;
}
