import type { Media } from 'ertacache/browser';
import ndarray from 'ndarray';

/** The difference of two pictures, enlarged so that it can be seen. */
export interface Difference {
  readonly media: Media;
  /** How many times it is enlarged; the largest power of two that keeps it within the range of a pixel. */
  readonly gain: number;
  /** The largest difference of a colour, in levels of 255. */
  readonly largest: number;
  /** Share of the pixels that differ. */
  readonly share: number;
}

const byte = (value: number): number => Math.round(255 * Math.min(1, Math.max(0, value)));

/** What differs in the bytes of two pictures or clips of one shape, colour by colour, on black. */
export function differenceOf(a: Media, b: Media): Difference {
  const levels = a.data.map((value, i) => Math.abs(byte(value) - byte(b.data[i] ?? value)));
  let largest = 0;
  let differing = 0;
  for (let i = 0; i < levels.length; i += 3) {
    const most = Math.max(levels[i] ?? 0, levels[i + 1] ?? 0, levels[i + 2] ?? 0);
    if (most > 0) differing++;
    largest = Math.max(largest, most);
  }
  const gain = largest === 0 ? 1 : 2 ** Math.floor(Math.log2(255 / largest));
  const media = ndarray(
    levels.map(level => (level * gain) / 255),
    [...a.shape],
  );
  return { media, gain, largest, share: (3 * differing) / levels.length };
}
