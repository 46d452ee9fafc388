/**
 * A text for a terminal: characters that would steer it (escape sequences, moves of the cursor, changes of direction)
 * are spelled as `\u001b`; in a `multiline` text line breaks stay.
 */
export function visible(text: string, { multiline = false }: { readonly multiline?: boolean } = {}): string {
  return text.replace(STEERING, character => {
    if (multiline && character === '\n') return character;
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Controls, line separators, marks and overrides of direction, halves of surrogate pairs. */
const STEERING = /[\p{Cc}\p{Surrogate}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** The beginning and the end of a text, on one line of a terminal. @param most characters of it, by about a few */
export function middleLeftOut(text: string, most: number): string {
  if (text.length <= most) return visible(text);
  const tail = Array.from(text.slice(-Math.floor(most / 3)));
  // Half of a pair that was cut in two goes.
  if (/^\p{Surrogate}/u.test(tail[0] ?? '')) tail.shift();
  return `${shortened(text, Math.ceil((2 * most) / 3))} ${visible(tail.join(''))}`;
}

/** The beginning of a text, on one line of a terminal. @param most characters of it */
export function shortened(text: string, most: number): string {
  // Characters first, so that none is cut in two; twice as many units are enough for them.
  const characters = Array.from(text.slice(0, 2 * (most + 1)));
  return visible(characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : text);
}
