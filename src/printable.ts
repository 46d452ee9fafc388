/** What moves a cursor, colours a terminal, breaks a line or turns the direction of writing; and halves of characters. */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}/gu;

/** Characters without a space between them: longer ones are no name, and no path that people gave. */
const WORD = { most: 300, begin: 160, end: 60 };
/** Characters of a whole sentence. */
const TEXT = { most: 2000, begin: 1500, end: 300 };

/**
 * A text as it can be shown to people, whatever stands in it: names from files that nobody has looked at go into
 * messages. Control characters are written as escapes, and what is too long loses its middle.
 */
export function printable(text: string): string {
  const words = text.replace(/\S+/g, word => shortened(word, WORD));
  return escaped(shortened(words, TEXT));
}

/** A name or a value from a file, for what is printed without being an error. */
export function printableName(name: string): string {
  return escaped(shortened(name, WORD));
}

/** The text with escapes, as JSON has them, in place of what is not printed but obeyed. */
export function escaped(text: string): string {
  return text.replace(UNPRINTABLE, character => {
    const short = JSON.stringify(character).slice(1, -1);
    return short === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : short;
  });
}

/** Whole characters from both ends, where there are more than `most`. */
function shortened(text: string, { most, begin, end }: typeof WORD): string {
  if (text.length <= most) return text;
  const head = [...text.slice(0, 2 * begin)].slice(0, begin).join('');
  const tail = [...text.slice(-2 * end)].slice(-end).join('');
  return `${head}…${tail}`;
}
