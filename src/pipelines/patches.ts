/** How a picture is cut: tokens in reading order, each `patch × patch` pixels, colour last. */
export interface PatchGrid {
  readonly rows: number;
  readonly columns: number;
  readonly patch: number;
}

const COLOURS = 3;

/**
 * Tokens of a pixel-space model to pixels.
 * @param tokens `[rows · columns, patch · patch · 3]` in [-1, 1], row-major
 * @returns `[rows · patch, columns · patch, 3]` in [0, 1], row-major
 */
export function unpatchPixels(tokens: Float32Array, { rows, columns, patch }: PatchGrid): Float32Array {
  const [height, width] = [rows * patch, columns * patch];
  const pixels = new Float32Array(height * width * COLOURS);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const token = Math.floor(y / patch) * columns + Math.floor(x / patch);
      const inPatch = (y % patch) * patch + (x % patch);
      for (let c = 0; c < COLOURS; c++) {
        const value = tokens[(token * patch * patch + inPatch) * COLOURS + c] as number;
        pixels[(y * width + x) * COLOURS + c] = Math.min(1, Math.max(-1, value)) * 0.5 + 0.5;
      }
    }
  }
  return pixels;
}
