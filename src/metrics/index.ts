export type { NamedWeights } from './alexnet';
export { createLpips, type Lpips, type LpipsScores } from './lpips';
export { meanSquaredError, psnr } from './psnr';
export { ssim } from './ssim';
export { ssimTorchmetrics } from './ssim-torchmetrics';
export { type Interval, mean, meanInterval, pairedDifference, standardDeviation, standardError } from './statistics';
export { type ClipScores, type ImageMetric, overClips, perFrame } from './video';
export { worstOf, worstOfDifference } from './worst-of';
