/** A part of a file: its first byte and its last. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The part that a Range header asks for: `bytes=0-99`, `bytes=100-`, or the last so many, `bytes=-100`.
 * @param length of the file
 * @returns undefined where the whole file is the answer: without a header, and for one that is no single range; null for
 *   a range that begins behind the end of the file
 */
export function byteRange(header: string | undefined, length: number): ByteRange | null | undefined {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/i.exec(header ?? '') ?? [];
  if (from === '' && to === '') return undefined;
  if (from === '') return partOf(length - Number(to), length - 1, length);
  if (to === '') return partOf(Number(from), length - 1, length);
  return Number(to) < Number(from) ? undefined : partOf(Number(from), Number(to), length);
}

const partOf = (first: number, last: number, length: number): ByteRange | null =>
  first < length ? { first: Math.max(0, first), last: Math.min(last, length - 1) } : null;
