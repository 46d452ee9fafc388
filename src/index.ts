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
export { readEmbeddings, writeEmbeddings } from './pipelines/embeddings-file';
export type { HubOptions } from './pipelines/hub-parts';
export { loadModel } from './pipelines/load';
export { readPolicy, writePolicy } from './policy/file';
export { defaultPolicy } from './policy/find';
export type { Embeddings } from './sampling/embeddings';
