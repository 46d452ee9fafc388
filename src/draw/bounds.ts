/**
 * What a request may ask for at most, whoever asks: the command line, a program, a receipt that anyone may have written.
 * Far above what is of use, and far below what has no end.
 */
export const MOST = {
  steps: 10_000,
  /** Pixels of a side. */
  side: 2 ** 20,
  frames: 100_000,
  tokens: 65_536,
  scale: 64,
  /** Pictures of one prompt. */
  pictures: 100_000,
} as const;
