/**
 * ertacache: fast diffusion sampling on TensorFlow.js. Reuses work between denoising steps, without training.
 * @packageDocumentation
 */
export { type ErtaSettings, ertacache } from './cache/ertacache';
export type { Evaluation, ModelParts } from './cache/evaluation';
export { fewerSteps } from './cache/fewer-steps';
export { type FirstBlockOptions, firstBlock } from './cache/first-block';
export { type MagCacheOptions, magcache } from './cache/magcache';
export { none } from './cache/none';
export type { BranchCache, CachePolicy, CacheRun, Decision, Evaluated, RunInfo, StepInfo } from './cache/policy';
export { type Method, methodCalled, methods } from './cache/registry';
export type { SiteName } from './cache/sites';
export { type TaylorSeerOptions, taylorseer } from './cache/taylorseer';
export { type TeaCacheOptions, teacache } from './cache/teacache';
export { publishedPolynomial } from './cache/teacache-polynomials';
export { adjustGrid, type TimestepForm } from './cache/time-grid';
export { uniform } from './cache/uniform';
export { type CalibrateOptions, calibrate } from './calibration/calibrate';
export { defaultPolicy } from './calibration/find-policy';
export { measurePolicy, type Score, score } from './calibration/measure';
export { splitPairs } from './calibration/pairs';
export { type Pair, type Policy, type PolicyData, policySettings, requireFits } from './calibration/policy-data';
export { readPolicy, writePolicy } from './calibration/policy-file';
export { type SelectOptions, selectBackend } from './engine/select';
export type { BackendRequest, EngineChoice } from './engine/types';
export * from './errors';
export type { Clip, Image, Media } from './media/pixels';
export { writeMedia } from './media/write';
export { psnr } from './metrics/psnr';
export { ssim } from './metrics/ssim';
export { loadModel } from './pipelines/load';
export type { Job, Pipeline, PipelineInfo, Request } from './pipelines/pipeline';
export { type RunResult, runJob, runRequest } from './pipelines/sample';
export { type LoopOptions, type Run, type StepRecord, sampleLoop } from './pipelines/sample-loop';
export { type SampleOptions, type SampleResult, sample } from './pipelines/sample-one';
export { torchGenerator } from './random/torch-generator';
