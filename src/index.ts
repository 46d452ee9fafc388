/**
 * ertacache: fast diffusion sampling on TensorFlow.js. Reuses work between denoising steps, without training.
 * @packageDocumentation
 */

export * from './core';
export { type SampleOptions, type SampleResult, sample } from './draw/draw';
export type { BackendLoadOptions } from './engine/load';
export { type SelectOptions, selectBackend } from './engine/select';
export type { BackendName, BackendRequest, EngineChoice, EngineKind, Rejection } from './engine/types';
export { type WriteOptions, writeMedia } from './media/write';
export type { ComputeType } from './nn/bfloat16';
export { type Embeddings, readEmbeddings, writeEmbeddings } from './pipelines/embeddings';
export { loadModel } from './pipelines/load';
export type { HubOptions } from './pipelines/parts';
export { readPolicy, writePolicy } from './policy/file';
export { defaultPolicy } from './policy/find';
