/** A likeness in dB; the metric ends at 100. */
export const decibels = (psnr: number): string => (psnr >= 99.9 ? '100' : psnr.toFixed(1));

/** SSIM with as many digits as tell it from 1. */
export function nines(ssim: number): string {
  const digits = ssim >= 1 ? 4 : Math.min(7, Math.max(3, Math.ceil(-Math.log10(1 - ssim)) + 1));
  return ssim.toFixed(digits);
}

export const seconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} s`;

/** Time left, for people: not exacter than it is. */
export function duration(value: number): string {
  if (value < 60) return `${Math.max(1, Math.round(value))} s`;
  if (value < 3600) return `${Math.round(value / 60)} min`;
  return `${(value / 3600).toFixed(1)} h`;
}

export const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

export const passes = (count: number): string => `${Number(count.toFixed(1))}`;
