/**
 * ertacache: fast diffusion sampling on TensorFlow.js. It reuses work between denoising steps, without training.
 *
 * What is here draws, calibrates and caches. `ertacache/cache` has the parts of caching methods, `ertacache/models` those
 * of models, and `ertacache/core` what runs in browsers.
 * @packageDocumentation
 */

export type { CachePolicy } from '../cache/policy';
export { calibrate } from '../calibration/calibrate';
export { measurePolicy } from '../calibration/measure';
export { splitPairs } from '../calibration/pairs';
export type { Drawn } from '../draw/draw';
export { draw, drawBatch, repeat } from '../draw/on-disk';
export type { Receipt } from '../draw/receipt';
export type { Request } from '../draw/request';
export { selectBackend } from '../engine/select';
export { ErtaError } from '../errors';
export { encodeMedia } from '../media/encode';
export type { Media } from '../media/pixels';
export { readMedia } from '../media/read';
export { readReceipt } from '../media/receipt';
export { writeMedia } from '../media/write';
export { psnr } from '../metrics/psnr';
export { ssim } from '../metrics/ssim';
export { type LoadModelOptions, loadModel } from '../pipelines/load';
export type { Policy } from '../policy/data';
export { readPolicy, writePolicy } from '../policy/file';
export type { Pipeline } from '../sampling/pipeline';
export { hashTensors } from '../sampling/velocity/identity';
export { sampleLatents } from '../sampling/velocity/sample-latents';
export type { GuidedVelocity, Velocity } from '../sampling/velocity/velocity';
export { withCache } from '../sampling/velocity/with-cache';
