/**
 * For authors of caching methods and of samplers: the interface of a method, the parts that methods are made of, every
 * method that is measured here, and the loop that runs them.
 * @packageDocumentation
 */
export type { Bound, BoundTerm, ByConfidence, EachBound, FidelityBound } from '../cache/bound';
export { type ErtaSettings, ertacache } from '../cache/ertacache';
export type { Evaluation, ModelParts } from '../cache/evaluation';
export type { Familiar } from '../cache/familiar';
export { fewerSteps } from '../cache/fewer-steps';
export { type FirstBlockOptions, firstBlock } from '../cache/first-block';
export type { HistoryFit } from '../cache/l2p';
export { type MagCacheOptions, type MagCacheSignal, magcache } from '../cache/magcache';
export { none } from '../cache/none';
export type {
  BranchCache,
  CachePolicy,
  CacheRun,
  Decision,
  Evaluated,
  GuidedOutput,
  RunInfo,
  StepInfo,
} from '../cache/policy';
export { type History, type Predictor, reuseLast, taylor } from '../cache/predictor';
export type { Affine, Combination, Parts, Rectification, RectifyForm } from '../cache/rectify';
export {
  type Budget,
  type CalibratedMethod,
  type ChosenMethod,
  type Described,
  type Method,
  type ModelFacts,
  methodCalled,
  methods,
  type ScheduledMethod,
  type ThresholdMethod,
  type Variant,
} from '../cache/registry';
export { type ResidualOptions, residualBranch } from '../cache/residual';
export type { SignalName, Signals } from '../cache/signal';
export { type Site, type SiteName, site } from '../cache/sites';
export { type TaylorSeerOptions, taylorseer } from '../cache/taylorseer';
export { type TeaCacheOptions, type TeaCacheSignal, teacache } from '../cache/teacache';
export { adjustGrid, type TimeAdjustment, type TimestepForm } from '../cache/time-grid';
export type { NamedSchedule } from '../cache/uniform';
export { uniform } from '../cache/uniform';
export type { MethodOptions, ScheduleRequest } from '../calibration/decide';
export type { Granularity } from '../calibration/fit';
export type { SearchMethod } from '../calibration/search/search';
export { anyState, type Keeper, parseState, type Resumable, type State, stateless, tensorState } from '../nn/state';
export type { CheckpointStore, RunCheckpoints } from '../sampling/checkpoint';
export type { Branch, Guide, GuidedStep } from '../sampling/guidance';
export { type RunResult, runJob, runRequest } from '../sampling/run-job';
export { type Estimate, type LoopOptions, type Run, type StepRecord, sampleLoop } from '../sampling/sample-loop';
export type { Noise } from '../sampling/trajectory';
export type { ModelIdentity } from '../sampling/velocity/identity';
export type { VelocityBlock, VelocityParts } from '../sampling/velocity/parts';
export { type SampledLatents, type SampleLatentsOptions, sampleLatents } from '../sampling/velocity/sample-latents';
export {
  defineScheduler,
  eulerScheduler,
  type NoiseLevels,
  type Scheduler,
  type SchedulerDefinition,
  type StepLevels,
  type Times,
} from '../sampling/velocity/scheduler';
export type { GuidedVelocity, Velocity, VelocitySource } from '../sampling/velocity/velocity';
export { type CachedVelocity, type WithCacheOptions, withCache } from '../sampling/velocity/with-cache';
export type { GridOptions } from '../schedulers/grid';
export type { Inspect, StepReport } from '../schedulers/inspect';
export { type SchedulerClass, schedulerClass, schedulerClassNames } from '../schedulers/registry';
export type { Solver, TimeGrid } from '../schedulers/solver';
