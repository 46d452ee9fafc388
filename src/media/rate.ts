import { UsageError } from '../errors';

/** Formats whose frames last a whole number of units, so that they cannot play at any rate. */
const formats = new Map([
  // Browsers show frames of less than two hundredths of a second for ten.
  ['gif', { name: 'GIF', most: 50, hint: 'Use .mp4, or .webp, which plays at up to 90.' }],
  // Encoder and browsers take less than 11 ms for a hundred.
  ['webp', { name: 'WebP', most: 90, hint: 'Use .mp4.' }],
]);
/** Seconds that one frame can show: encoders take its milliseconds in 16 bits. */
const LONGEST_FRAME = 65;

/**
 * @param format such as `gif`; those that play at any rate are passed
 * @param fps frames per second of a clip; undefined for a picture
 * @throws UsageError for a rate that files of a format cannot have, or at which they play too slowly
 */
export function requireRate(format: string, fps: number | undefined): void {
  const rule = formats.get(format);
  if (!rule || fps === undefined) return;
  const { name, most, hint } = rule;
  if (fps * LONGEST_FRAME < 1) {
    throw new UsageError(
      `A ${name} shows a frame for ${LONGEST_FRAME} seconds at most, and the clip has ${fps} frames per second.`,
      { hint: 'Use .mp4, or repeat frames at a higher rate.' },
    );
  }
  if (fps > most) {
    throw new UsageError(`A ${name} plays at ${most} frames per second at most, and the clip has ${fps}.`, { hint });
  }
}
