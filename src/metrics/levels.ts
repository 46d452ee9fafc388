import { frames, type Media, toBytes } from '../media/pixels';
import { assertSameShape } from './shapes';

/** How two pictures, or clips over all frames, differ in what a screen shows of them: 8 bits a colour. */
export interface LevelDifference {
  /** Share of the pixels of which at least one colour differs, 0 … 1. */
  readonly differing: number;
  /** The largest difference of a colour, in levels of 255. */
  readonly largest: number;
}

const COLOURS = 3;

/**
 * Differences in 8-bit pixels. PSNR above about 60 dB is less than one such level.
 * @throws ShapeError when the shapes differ
 */
export function levelDifference(a: Media, b: Media): LevelDifference {
  assertSameShape(a, b);
  let [differing, pixels, largest] = [0, 0, 0];
  const others = frames(b);
  for (const [f, frame] of frames(a).entries()) {
    const [left, right] = [toBytes(frame), toBytes(others[f]!)];
    pixels += left.length / COLOURS;
    for (let i = 0; i < left.length; i += COLOURS) {
      let difference = 0;
      for (let c = i; c < i + COLOURS; c++) {
        difference = Math.max(difference, Math.abs((left[c] as number) - (right[c] as number)));
      }
      if (difference > 0) differing++;
      largest = Math.max(largest, difference);
    }
  }
  return { differing: differing / pixels, largest };
}
