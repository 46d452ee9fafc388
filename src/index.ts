/**
 * ertacache: fast diffusion sampling on TensorFlow.js. Reuses work between denoising steps, without training.
 * @packageDocumentation
 */

export * from './core';
export { type SampleOptions, type SampleResult, sample } from './draw/draw';
export type { BackendLoadOptions } from './engine/load';
export { type SelectOptions, selectBackend } from './engine/select';
export type { BackendName, BackendRequest, EngineChoice, EngineKind, Rejection } from './engine/types';
export { diskFolder } from './io/disk-folder';
export { type WriteOptions, writeMedia } from './media/write';
export { readEmbeddings, writeEmbeddings } from './pipelines/embeddings-file';
export { loadModel } from './pipelines/load';
export { readPolicy, writePolicy } from './policy/file';
export { defaultPolicy } from './policy/find';
export { type OpenAtOptions, openModelAt } from './weights/disk';
