/**
 * The part of ertacache that runs anywhere TensorFlow.js does, browsers included: caching and calibration of any
 * velocity function, every caching method, policies in memory, schedulers, metrics, and the transformers.
 * @packageDocumentation
 */
export { type ErtaSettings, ertacache } from './cache/ertacache';
export type { Evaluation, ModelParts } from './cache/evaluation';
export { fewerSteps } from './cache/fewer-steps';
export { type FirstBlockOptions, firstBlock } from './cache/first-block';
export { type MagCacheOptions, type MagCacheSignal, magcache } from './cache/magcache';
export { none } from './cache/none';
export type {
  BranchCache,
  CachePolicy,
  CacheRun,
  Decision,
  Evaluated,
  GuidedOutput,
  RunInfo,
  StepInfo,
} from './cache/policy';
export { type History, type Predictor, reuseLast, taylor } from './cache/predictor';
export type { Affine, Combination, Parts, Rectification, RectifyForm } from './cache/rectify';
export {
  type Budget,
  type CalibratedMethod,
  type Described,
  type Method,
  type ModelFacts,
  methodCalled,
  methods,
  type ScheduledMethod,
  type ThresholdMethod,
} from './cache/registry';
export { type ResidualOptions, residualBranch } from './cache/residual';
export { type Site, type SiteName, site } from './cache/sites';
export { type TaylorSeerOptions, taylorseer } from './cache/taylorseer';
export { type TeaCacheOptions, type TeaCacheSignal, teacache } from './cache/teacache';
export { adjustGrid, type TimestepForm } from './cache/time-grid';
export { uniform } from './cache/uniform';
export {
  type CalibrateOptions,
  type CalibrateVelocityOptions,
  type CalibrationRun,
  calibrate,
  calibrationForwards,
} from './calibration/calibrate';
export type { MethodOptions, ScheduleRequest } from './calibration/decide';
export type { Granularity } from './calibration/fit';
export { type MeasureOptions, measurePolicy, type Score, score } from './calibration/measure';
export { type PairSplit, splitPairs } from './calibration/pairs';
export type { SearchMethod } from './calibration/search';
export * from './errors';
export { type ByteFile, memoryFile } from './io/byte-file';
export { type FileOptions, type Folder, memoryFolder } from './io/folder';
export { httpFolder } from './io/http-folder';
export type { HttpOptions } from './io/http-request';
export type { Clip, Image, Media, Resize } from './media/pixels';
export { psnr } from './metrics/psnr';
export { ssim } from './metrics/ssim';
export { familyOf, modelClassNames } from './models/families';
export type { Family } from './models/family';
export type { Watch } from './models/pipeline-parts';
export { publishedPolynomial } from './models/polynomials';
export type { ComputeType } from './nn/bfloat16';
export type { Params } from './nn/params';
export { loadPipeline } from './pipelines/from-model';
export type { HubOptions } from './pipelines/hub-parts';
export {
  type CoefficientFile,
  deserializePolicy,
  type PolicyBytes,
  serializePolicy,
} from './policy/bytes';
export {
  type Fidelity,
  type Pair,
  type Policy,
  type PolicyData,
  type PolicyUse,
  policySettings,
  requireFits,
} from './policy/data';
export { type DrawType, type TorchGenerator, torchGenerator } from './random/torch-generator';
export type { Embeddings } from './sampling/embeddings';
export type { Branch, Guide } from './sampling/guidance';
export type {
  DecodeOptions,
  InitialPicture,
  Job,
  PictureSize,
  Pipeline,
  PipelineInfo,
  Request,
} from './sampling/pipeline';
export { type RunResult, runJob, runRequest } from './sampling/run-job';
export { type LoopOptions, type Run, type StepRecord, sampleLoop } from './sampling/sample-loop';
export { hashTensors, type ModelIdentity } from './sampling/velocity/identity';
export type { VelocityBlock, VelocityParts } from './sampling/velocity/parts';
export { type SampledLatents, type SampleLatentsOptions, sampleLatents } from './sampling/velocity/sample-latents';
export {
  defineScheduler,
  eulerScheduler,
  type NoiseLevels,
  type Scheduler,
  type SchedulerDefinition,
  type StepLevels,
  type Times,
} from './sampling/velocity/scheduler';
export type {
  GuidedVelocity,
  Velocity,
  VelocitySource,
} from './sampling/velocity/velocity';
export { type CachedVelocity, type WithCacheOptions, withCache } from './sampling/velocity/with-cache';
export type { GridOptions } from './schedulers/grid';
export type { Inspect, StepReport } from './schedulers/inspect';
export { type SchedulerClass, schedulerClass, schedulerClassNames } from './schedulers/registry';
export type { Solver, TimeGrid } from './schedulers/solver';
export { type Block, type Denoiser, type Stream, type Tap, type Tokens, untapped } from './transformer/denoiser';
export { type BlockRange, forward } from './transformer/run';
export type { PerRow } from './transformer/timesteps';
export type { DType } from './weights/dtype';
export { type LoadOptions, loadStore } from './weights/load';
export { memoryStore, type StoredValues } from './weights/memory-store';
export type { ModelConfig } from './weights/model-config';
export type { FolderOptions, ModelComponent } from './weights/model-folder';
export { type OpenModel, openModel } from './weights/open-model';
export type { Layout, Parameter, ParameterTable, WeightStore } from './weights/parameters';
export { safetensorsSource } from './weights/safetensors-source';
export type { Slice, StoredType, TensorEntry, TensorSource } from './weights/source';
