import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { IoError } from '../errors';
import { disk, writeNew } from '../io/fs';
import { ioError } from '../io/node-file';
import { sha256, sha256Stream } from '../io/sha256';
import { requireGoing } from '../io/turn';
import { VERSION } from '../version';
import { type CheckOptions, checkModel } from './check-model';
import { hashTensor, SLICE_ELEMENTS } from './content-hash';
import { type OpenAtOptions, openModelAt } from './disk';
import { elements, isFloating } from './dtype';
import { bytesOf, chooseSpec, encodeValues, joinRanges, type ValueRange } from './encode';
import { checkFinite } from './finite';
import { laidOutShape, layOut } from './layout';
import {
  type ArtefactMetadata,
  type Digest,
  formatManifest,
  type GraphTopology,
  MODEL_JSON,
  specBytes,
  type TargetType,
  type WeightSpec,
} from './manifest';
import type { ModelComponent } from './model-folder';
import type { OpenModel } from './open-model';
import type { Parameter } from './parameters';
import { shardWriter } from './shard-writer';
import { type Slice, slices } from './source';
import { writeModelFolder } from './staging';

/** Default size of a shard, the same as tfjs's own converter takes. */
export const SHARD_BYTES = 4 * 1024 * 1024;

/** A constant of a graph that is none of the model's weights. */
export interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly values: Float32Array | Int32Array | Uint8Array;
}

/** A model as a graph whose weights are called `prefix` + the parameter's name, laid out as layers want them. */
export interface ComponentGraph extends GraphTopology {
  readonly constants: readonly Constant[];
}

/** The graph of a model class, for the classes that have one. Handed in, so that this folder needs to know no model. */
export type GraphOf = (className: string, config: unknown, prefix: string) => ComponentGraph | undefined;

export interface ConvertOptions extends OpenAtOptions, CheckOptions {
  readonly dtype: TargetType;
  readonly shardBytes?: number | undefined;
  /** Makes the result a graph model, which plain tfjs runs. */
  readonly graphOf?: GraphOf | undefined;
  /** The model under the names that `tableOf` knows, for checkpoints of other layouts. */
  readonly named?: ((model: OpenModel) => OpenModel) | undefined;
  /** Takes a part of the model only. */
  readonly select?: ((model: OpenModel) => OpenModel) | undefined;
  /** Replaces a converted model that is there already. */
  readonly force?: boolean | undefined;
  /** When aborted, the conversion stops and nothing stays. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the share of the work that is done, 0 … 1. */
  readonly onProgress?: ((share: number) => void) | undefined;
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
  /** Given where the tensor is to be laid out as layers want it. */
  readonly parameter?: Parameter | undefined;
}

/**
 * Converts a model on disk into a folder that tfjs and `openModel` read: `model.json`, shards, and the small files of
 * a pipeline. Values are read in slices, or one matrix at a time where it is laid out anew, twice (to check, hash and
 * measure them; to write them), so that memory does not grow with the checkpoint. The same tensors give the same bytes.
 * @throws CheckpointError, UsageError, IoError, InterruptedError; nothing is then written
 */
export async function convertModel(source: string, out: string, options: ConvertOptions): Promise<Conversion> {
  const opened = await openModelAt(source, options);
  try {
    const whole = options.named?.(opened) ?? opened;
    const model = options.select?.(whole) ?? whole;
    checkModel(model, options);
    return await writeModelFolder(out, { force: options.force, source }, folder => convertInto(folder, model, options));
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
    requireGoing(signal, 'Interrupted: nothing was written.');
    done += count;
    onProgress?.(done / (2 * total));
  };

  const planned: Planned[] = [];
  const components: ArtefactMetadata['components'] = {};
  let graph: ComponentGraph | undefined;
  for (const [name, component] of [...model.components].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { className, config, source } = component;
    const own = graph ? undefined : options.graphOf?.(className, config, `${name}/`);
    graph ??= own;
    const table = own ? options.tableOf(className, config) : undefined;
    const plan = await planComponent(name, component, dtype, advance, table);
    planned.push(...plan.tensors);
    const isLaidOut = own !== undefined || source.names.some(tensor => source.entry(tensor).isLaidOut);
    components[name] = {
      className,
      config: { ...config },
      sourceSha256: component.contentHash ?? plan.hash,
      ...(isLaidOut && { layout: 'layers' }),
    };
  }
  const bytes = planned.reduce((sum, { spec }) => sum + specBytes(spec), 0);
  await checkSpace(folder, bytes);

  const shards = await writeShards(folder, planned, bytes, shardBytes, advance);
  const constants = graph ? await writeConstants(folder, graph.constants) : [];
  const files = await copyFiles(folder, model);
  const weights = planned.map(({ spec }) => spec);
  const format = Object.values(components).some(component => component.layout) ? 2 : 1;
  const manifest = { format, dtype, pipeline: model.pipeline, components, shards, constants, files, weights } as const;
  const described = graph && { ...graph, constants: graph.constants.map(constantSpec) };
  const text = formatManifest(manifest, `ertacache ${VERSION}`, described);
  await writeNew(join(folder, MODEL_JSON), text).catch(error => {
    throw ioError(join(folder, MODEL_JSON), error);
  });
  return { tensors: planned.length, parameters: total, bytes, shards: shards.length };
}

/** First pass: checks that values are finite, hashes them, and decides how each tensor is stored. */
async function planComponent(
  componentName: string,
  component: ModelComponent,
  target: TargetType,
  advance: (slice: Slice) => void,
  table: readonly Parameter[] = [],
): Promise<{ tensors: Planned[]; hash: string }> {
  const { source } = component;
  const parameters = new Map(table.map(parameter => [parameter.name, parameter]));
  const hash = sha256Stream();
  const tensors: Planned[] = [];
  for (const name of source.names) {
    const { dtype, shape: stored, isLaidOut, size, file } = source.entry(name);
    const listed = isLaidOut ? undefined : parameters.get(name);
    const parameter = listed && listed.layout !== 'plain' ? listed : undefined;
    const shape = parameter ? laidOutShape(parameter) : stored;
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
    tensors.push({ component, name, spec, parameter });
  }
  return { tensors, hash: hash.digest() };
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
    for (const { component, name, spec, parameter } of planned) {
      const { source } = component;
      if (parameter) {
        advance({ start: 0, count: elements(parameter.shape) });
        const values = layOut(await source.read(name), parameter);
        await writer.write(encodeValues(values, spec));
        continue;
      }
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

/** What a graph holds beside the weights, as a group of files of its own. */
async function writeConstants(folder: string, constants: readonly Constant[]): Promise<Digest[]> {
  const all = constants.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  const bytes = Buffer.concat(all);
  const writer = shardWriter(folder, bytes.length, Math.max(1, bytes.length), 2);
  try {
    await writer.write(bytes);
    return await writer.finish();
  } finally {
    await writer.abandon();
  }
}

function constantSpec({ name, shape, dtype }: Constant): WeightSpec {
  return { name, shape: [...shape], dtype: dtype as WeightSpec['dtype'] };
}

async function copyFiles(folder: string, model: OpenModel): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (const path of model.files) {
    const bytes = await model.readFile(path);
    const target = join(folder, path);
    await disk.mkdir(dirname(target));
    await writeNew(target, bytes).catch(error => {
      throw ioError(target, error);
    });
    digests.push({ path, bytes: bytes.length, sha256: sha256(bytes) });
  }
  return digests;
}

async function checkSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= bytes) return;
  const message = `The converted model takes ${bytes} bytes, but the disk of ${dirname(folder)} has ${bavail * bsize} left.`;
  throw new IoError(message, {
    hint: 'Free some space, choose a smaller dtype (--dtype), or give a folder on another disk.',
  });
}
