import type { Axis } from './curves';

/** SSIM is told apart by its nines; a mean this near to 1 is drawn as if it were no nearer. */
const NEAREST = 1e-6;

/** The likenesses that a comparison is drawn by, as the report draws them. */
export const AXES: Readonly<Record<'psnr' | 'ssim', Axis>> = {
  psnr: {
    title: 'PSNR, dB',
    of: row => row.psnr,
    place: value => Math.min(value, 100),
    label: String,
    mark: 40,
  },
  ssim: {
    title: 'SSIM',
    of: row => row.ssim,
    place: value => -Math.log10(Math.max(1 - value, NEAREST)),
    label: place => (1 - 10 ** -place).toFixed(Math.max(1, Math.ceil(place))),
  },
};
