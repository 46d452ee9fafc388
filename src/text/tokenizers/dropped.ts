/**
 * The end of a text that does not fit into a number of tokens, cut between words; part of a word counts as none of it.
 * Tokens do not say where in the text they are from: normalisation lies between. So the longest beginning is looked for
 * that fits by itself, in time that grows with the room and not with the text.
 */
export function droppedText(text: string, room: number, count: (beginning: string) => number): string {
  const fits = (end: number): boolean => count(text.slice(0, end)) <= room;
  const ends = endsOfWords(text);
  let least = 0;
  let most = 1;
  while (most < ends.length && fits(ends[most - 1] as number)) {
    least = most;
    most *= 2;
  }
  most = Math.min(most, ends.length);
  // Words up to `least` fit; those up to `most` may not.
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (fits(ends[middle - 1] as number)) least = middle;
    else most = middle - 1;
  }
  return text.slice(least === 0 ? 0 : ends[least - 1]);
}

/** Where the words of a text end, and the signs between them; also in scripts that do not part words by spaces. */
function endsOfWords(text: string): number[] {
  return Array.from(
    new Intl.Segmenter('en', { granularity: 'word' }).segment(text),
    ({ index, segment }) => index + segment.length,
  );
}
