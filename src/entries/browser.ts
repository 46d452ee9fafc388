/**
 * Pictures in a browser's tab: models and policies from a server, drawn in a worker, with nothing installed.
 * @packageDocumentation
 */
export {
  type CalibrateCall,
  type CallOptions,
  type Client,
  type ClientOptions,
  type CompareCall,
  createClient,
  type DrawCall,
  type LoadCall,
} from '../browser/client/client';
export type { Busy } from '../browser/client/turns';
export { type Detected, detect, type GpuInfo } from '../browser/detect';
export { type DrawToOptions, drawTo, type PlayOptions, playOn } from '../browser/draw-to';
export { readReceipt } from '../browser/files/read-receipt';
export type * from '../browser/types';
export type { Receipt } from '../draw/receipt';
export * from '../errors';
export type { Summary } from '../lab/compare/aggregate';
export type { Cell, Comparison, PairResult } from '../lab/compare/comparison';
export type { Media } from '../media/pixels';
export { psnr } from '../metrics/psnr';
export { ssim } from '../metrics/ssim';
export type { Fidelity } from '../policy/data';
export type { Pair } from '../policy/pair';
