import { UnsupportedError } from '../errors';

/** How much of the world's pictures is taken into memory: as float32, a pixel takes 12 bytes beside its 3. */
export const LIMITS = {
  /** Pixels of a picture, or of all frames of a clip. */
  pixels: 100e6,
  frames: 4096,
  /** Bytes of a file. */
  bytes: 2 ** 29,
  /** Longest side at which a picture is read that a run begins with; no model draws as large. */
  initSide: 4096,
} as const;

/** Size of what a file says that it holds. */
export interface DeclaredSize {
  readonly width: number;
  readonly height: number;
  readonly frames: number;
}

const millions = (count: number): string => `${Math.round(count / 1e6).toLocaleString('en')} million pixels`;

/** @throws UnsupportedError for pictures that are too large to be taken into memory, before any of it is decoded */
export function requireReadable(path: string, { width, height, frames }: DeclaredSize): void {
  if (frames > LIMITS.frames) {
    throw new UnsupportedError(`${path} holds ${frames} frames, and at most ${LIMITS.frames} are read.`, {
      hint: 'Cut it into shorter clips.',
    });
  }
  const pixels = width * height * frames;
  if (pixels <= LIMITS.pixels) return;
  const shape = frames > 1 ? `${frames} frames of ${width} × ${height}` : `${width} × ${height}`;
  throw new UnsupportedError(
    `${path} has ${shape}, ${millions(pixels)}, and at most ${millions(LIMITS.pixels)} are read.`,
    { hint: 'Make it smaller first.' },
  );
}
