import { createHash } from 'node:crypto';
import { mkdir, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InterruptedError, IoError } from '../errors';
import { packageVersion } from '../package-root';
import { type CheckOptions, checkModel } from './check-model';
import { hashTensor, SLICE_ELEMENTS } from './content-hash';
import { isFloating } from './dtype';
import { bytesOf, chooseSpec, encodeValues, joinRanges, type ValueRange } from './encode';
import { checkFinite } from './finite';
import type { WeightSpec } from './manifest';
import { type ArtefactMetadata, type Digest, formatManifest, MODEL_JSON, specBytes, type TargetType } from './manifest';
import type { ModelComponent } from './model-folder';
import { modelWithKnownNames } from './names/known-names';
import { ioError } from './node-file';
import { type OpenModel, type OpenOptions, openModel } from './open-model';
import { shardWriter } from './shard-writer';
import { type Slice, slices } from './source';
import { writeFolder } from './staging';

/** Size of a shard unless told, the same as tfjs's own converter takes. */
export const SHARD_BYTES = 4 * 1024 * 1024;

export interface ConvertOptions extends OpenOptions, CheckOptions {
  readonly dtype: TargetType;
  readonly shardBytes?: number;
  /** Replaces a converted model that is there already. */
  readonly force?: boolean;
  /** When aborted, the conversion stops and nothing stays. */
  readonly signal?: AbortSignal;
  /** Called with the share of the work that is done, 0 … 1. */
  readonly onProgress?: (share: number) => void;
}

export interface Conversion {
  readonly tensors: number;
  readonly parameters: number;
  /** Of the shards together. */
  readonly bytes: number;
  readonly shards: number;
}

interface Planned {
  readonly component: ModelComponent;
  readonly name: string;
  readonly spec: WeightSpec;
}

/**
 * Converts a model on disk into a folder that tfjs and `openModel` read: `model.json`, shards, and the small files of
 * a pipeline. Values are read in slices, twice (to check, hash and measure them; to write them), so that memory does
 * not grow with the checkpoint. The same tensors give the same bytes.
 * @throws CheckpointError, UsageError, IoError, InterruptedError; nothing is then written
 */
export async function convertModel(source: string, out: string, options: ConvertOptions): Promise<Conversion> {
  const opened = await openModel(source, options);
  try {
    const model = modelWithKnownNames(opened, options.tableOf);
    checkModel(model, options);
    return await writeFolder(out, { force: options.force, source }, folder => convertInto(folder, model, options));
  } finally {
    await opened.close();
  }
}

async function convertInto(folder: string, model: OpenModel, options: ConvertOptions): Promise<Conversion> {
  const { dtype, shardBytes = SHARD_BYTES, signal, onProgress } = options;
  const total = [...model.components.values()]
    .flatMap(({ source }) => source.names.map(name => source.entry(name).size))
    .reduce((a, b) => a + b, 0);
  let done = 0;
  const advance = ({ count }: Slice): void => {
    if (signal?.aborted) throw new InterruptedError('Interrupted: nothing was written.');
    done += count;
    onProgress?.(done / (2 * total));
  };

  const planned: Planned[] = [];
  const components: ArtefactMetadata['components'] = {};
  for (const [name, component] of [...model.components].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const plan = await planComponent(name, component, dtype, advance);
    planned.push(...plan.tensors);
    const { className, config } = component;
    components[name] = { className, config: { ...config }, sourceSha256: component.contentHash ?? plan.hash };
  }
  const bytes = planned.reduce((sum, { spec }) => sum + specBytes(spec), 0);
  await checkSpace(folder, bytes);

  const shards = await writeShards(folder, planned, bytes, shardBytes, advance);
  const files = await copyFiles(folder, model);
  const weights = planned.map(({ spec }) => spec);
  const manifest = { format: 1, dtype, pipeline: model.pipeline, components, shards, files, weights } as const;
  await writeFile(join(folder, MODEL_JSON), formatManifest(manifest, `ertacache ${packageVersion()}`));
  return { tensors: planned.length, parameters: total, bytes, shards: shards.length };
}

/** First pass: checks that values are finite, hashes them, and decides how each tensor is stored. */
async function planComponent(
  componentName: string,
  component: ModelComponent,
  target: TargetType,
  advance: (slice: Slice) => void,
): Promise<{ tensors: Planned[]; hash: string }> {
  const { source } = component;
  const hash = createHash('sha256');
  const tensors: Planned[] = [];
  for (const name of source.names) {
    const { dtype, shape, size, file } = source.entry(name);
    let range: ValueRange | undefined;
    for (const slice of slices(size, SLICE_ELEMENTS)) {
      advance(slice);
      if (!isFloating(dtype)) continue;
      const values = await source.read(name, slice);
      checkFinite(values, name, file, slice.start);
      range = joinRanges(range, values);
    }
    await hashTensor(hash, source, name);
    const spec = chooseSpec(`${componentName}/${name}`, dtype, shape, range ?? { min: 0, max: 0 }, target);
    tensors.push({ component, name, spec });
  }
  return { tensors, hash: hash.digest('hex') };
}

/** Second pass. */
async function writeShards(
  folder: string,
  planned: readonly Planned[],
  bytes: number,
  shardBytes: number,
  advance: (slice: Slice) => void,
): Promise<Digest[]> {
  const writer = shardWriter(folder, bytes, shardBytes);
  try {
    for (const { component, name, spec } of planned) {
      const { source } = component;
      for (const slice of slices(source.entry(name).size, SLICE_ELEMENTS)) {
        advance(slice);
        if (spec.dtype === 'bool') await writer.write(await source.readRaw(name, slice));
        else if (spec.dtype === 'int32') await writer.write(bytesOf(await source.readInts(name, slice)));
        else await writer.write(encodeValues(await source.read(name, slice), spec));
      }
    }
    return await writer.finish();
  } finally {
    await writer.abandon();
  }
}

async function copyFiles(folder: string, model: OpenModel): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (const path of model.files) {
    const bytes = await model.readFile(path);
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes).catch(error => {
      throw ioError(target, error);
    });
    digests.push({ path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
  }
  return digests;
}

async function checkSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= bytes) return;
  const message = `The converted model takes ${bytes} bytes, but the disk of ${dirname(folder)} has ${bavail * bsize} left.`;
  throw new IoError(message, { hint: 'Free some space, choose a smaller --dtype, or give a folder on another disk.' });
}
