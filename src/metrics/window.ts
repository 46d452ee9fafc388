/** The window of SSIM: 11 taps of a Gaussian with σ = 1.5, sum 1. */
export const WINDOW = gaussian(11, 1.5);

/** A map of one value per pixel, row-major. */
export interface Plane {
  values: Float64Array;
  height: number;
  width: number;
}

/**
 * Weighted mean of each window that lies wholly inside the plane: `[H, W]` → `[H - 10, W - 10]`. The window is the
 * outer product of `WINDOW` with itself, so rows and columns are filtered one after the other.
 */
export function filterValid({ values, height, width }: Plane): Plane {
  const taps = WINDOW.length;
  const [outHeight, outWidth] = [height - taps + 1, width - taps + 1];
  const rows = new Float64Array(height * outWidth);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < outWidth; x++) {
      let sum = 0;
      for (let k = 0; k < taps; k++) sum += WINDOW[k]! * values[y * width + x + k]!;
      rows[y * outWidth + x] = sum;
    }
  }
  const filtered = new Float64Array(outHeight * outWidth);
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      let sum = 0;
      for (let k = 0; k < taps; k++) sum += WINDOW[k]! * rows[(y + k) * outWidth + x]!;
      filtered[y * outWidth + x] = sum;
    }
  }
  return { values: filtered, height: outHeight, width: outWidth };
}

function gaussian(taps: number, sigma: number): Float64Array {
  const middle = (taps - 1) / 2;
  const weights = Float64Array.from({ length: taps }, (_, i) => Math.exp(-((i - middle) ** 2) / (2 * sigma ** 2)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map(weight => weight / sum);
}
