/** What a page without a bundler takes: everything but what needs TensorFlow.js on the page's own thread. */

export * from '../../errors';
export { psnr } from '../../metrics/psnr';
export { ssim } from '../../metrics/ssim';
export { detect } from '../detect';
export { drawTo, playOn } from '../draw-to';
export { readReceipt } from '../files/read-receipt';
export { createClient } from './client';
