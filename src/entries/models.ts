/**
 * For authors of models: the denoiser's interface, every family, checkpoints and the stores that lend weights to layers.
 * @packageDocumentation
 */

export type { ByteFile } from '../io/byte-file';
export { memoryFile } from '../io/byte-file';
export { families, familyOf, type ModelClassName, modelClassNames } from '../models/families';
export type { Family, IndexFields, Joins, UsualRun } from '../models/family';
export type { PixelFormat } from '../models/pixel-format';
export type { PublishedPolynomial } from '../models/polynomial';
export { publishedPolynomial } from '../models/polynomials';
export type { Preset } from '../models/preset';
export type { AttentionWork, Workload } from '../models/workload';
export type { ComputeType } from '../nn/bfloat16';
export type { Params } from '../nn/params';
export { type DrawType, type GeneratorState, type TorchGenerator, torchGenerator } from '../random/torch-generator';
export { type Block, type Denoiser, type Stream, type Tap, type Tokens, untapped } from '../transformer/denoiser';
export { type BlockRange, forward } from '../transformer/run';
export type { PerRow } from '../transformer/timesteps';
export type { DType } from '../weights/dtype';
export type { KeyLayout } from '../weights/key-layout';
export { type LoadOptions, loadStore } from '../weights/load';
export type { Merge, Merges } from '../weights/lora/merge';
export { memoryStore, type StoredValues } from '../weights/memory-store';
export type { Layout, Parameter, ParameterTable, WeightStore } from '../weights/parameters';
export { safetensorsSource } from '../weights/safetensors-source';
export type { Scale, Slice, StoredType, TensorEntry, TensorSource } from '../weights/source';
export type { BlockType } from '../weights/stored-type';
