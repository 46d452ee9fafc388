/**
 * The part of ertacache that runs anywhere TensorFlow.js does, browsers included: models from bytes, drawing, caching
 * and calibration of any velocity function, policies in memory, metrics. A bundler takes it for `ertacache` in a page.
 * The types that functions of `ertacache` take and give are here too, those of functions that need Node among them.
 * @packageDocumentation
 */
export { type LoadModelOptions, loadModel } from '../browser/load/load-model';
export type { Bound } from '../cache/bound';
export type { GuidanceRange } from '../cache/by-guidance';
export type { CachePolicy } from '../cache/policy';
export {
  type CalibrateOptions,
  type CalibrateVelocityOptions,
  type CalibrationRun,
  calibrate,
  calibrationForwards,
} from '../calibration/calibrate';
export { type MeasureOptions, measurePolicy, type Score, score } from '../calibration/measure';
export { type PairSplit, splitPairs } from '../calibration/pairs';
export type { CheckpointFolder } from '../draw/checkpoint-folder';
export { type Drawn, type DrawOptions, draw, drawBatch, repeat, runOf } from '../draw/draw';
export type { DrawFilesOptions } from '../draw/on-disk';
export { parseReceipt, type Receipt } from '../draw/receipt';
export type { FullRequest, Request } from '../draw/request';
export type { SelectOptions } from '../engine/select';
export type { BackendName, BackendRequest, EngineChoice, EngineKind, Rejection } from '../engine/types';
export * from '../errors';
export { type FileOptions, type Folder, memoryFolder } from '../io/folder';
export { httpFolder } from '../io/http-folder';
export type { HttpOptions } from '../io/http-request';
export type { FileFormat, WriteOptions } from '../media/encode';
export type { Clip, Image, Media, Resize } from '../media/pixels';
export type { ReadMedia } from '../media/read';
export { psnr } from '../metrics/psnr';
export { ssim } from '../metrics/ssim';
export type { Watch } from '../models/pipeline-parts';
export { loadPipeline } from '../pipelines/from-model';
export type { HubOptions } from '../pipelines/hub-parts';
export type { TransformerFile } from '../pipelines/transformer-file';
export { atBudget, type Budget, type Guarantee } from '../policy/budget';
export { type CoefficientFile, deserializePolicy, type PolicyBytes, serializePolicy } from '../policy/bytes';
export {
  type Fidelity,
  type Policy,
  type PolicyData,
  type PolicyUse,
  policySettings,
  requireFits,
} from '../policy/data';
export type { Pair } from '../policy/pair';
export { type Chosen, type PolicySource, policiesInMemory } from '../policy/source';
export type { Seed } from '../random/seed';
export type { CheckpointStore, RunCheckpoints } from '../sampling/checkpoint';
export type { Embeddings } from '../sampling/embeddings';
export type {
  BatchRequest,
  DecodeOptions,
  Elsewhere,
  FarRuns,
  GuidanceRequest,
  InitialPicture,
  Job,
  LoraInfo,
  PictureSize,
  Pipeline,
  PipelineInfo,
  PrepareOptions,
  RunLevels,
  ScheduleRequest,
  Steering,
  TextLoss,
  TextsRequest,
} from '../sampling/pipeline';
export type { Previews } from '../sampling/previews';
export type { Estimate } from '../sampling/sample-loop';
export { hashTensors, type ModelIdentity } from '../sampling/velocity/identity';
export { type SampledLatents, type SampleLatentsOptions, sampleLatents } from '../sampling/velocity/sample-latents';
export type { GuidedVelocity, Velocity, VelocitySource } from '../sampling/velocity/velocity';
export { type CachedVelocity, type WithCacheOptions, withCache } from '../sampling/velocity/with-cache';
export type { LoraFile } from '../weights/lora/adapter';
export type { LoraPath } from '../weights/lora/on-disk';
export type { ModelConfig } from '../weights/model-config';
export type { FolderOptions, ModelComponent, OpenPart } from '../weights/model-folder';
export { type OpenModel, openModel } from '../weights/open-model';
export type { FindRepository } from '../weights/split-pipeline';
