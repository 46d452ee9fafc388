import { z } from 'zod';
import { CheckpointError } from '../errors';
import { parsePlainJson } from '../io/plain-json';
import { elements } from './dtype';
import { checkPlainName } from './shard-index';
import type { StoredType } from './source';

/** The name of the file that describes a converted model. */
export const MODEL_JSON = 'model.json';

const count = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const digest = z.object({ path: z.string(), bytes: count, sha256 });

const weight = z.object({
  name: z.string().min(1),
  shape: z.array(count),
  dtype: z.enum(['float32', 'int32', 'bool']),
  quantization: z
    .discriminatedUnion('dtype', [
      z.object({ dtype: z.literal('float16') }),
      z.object({ dtype: z.literal('uint8'), min: z.number(), scale: z.number() }),
    ])
    .optional(),
});

const component = z.object({
  className: z.string().min(1),
  config: z.record(z.string(), z.unknown()),
  /** Identity of the weights before conversion: see `contentHash`. */
  sourceSha256: sha256,
  /** `layers`: matrices and kernels are stored as layers want them, as a graph needs them; otherwise as they came. */
  layout: z.literal('layers').optional(),
});

const metadata = z.object({
  /** Version of this layout; 2 where a component has a layout of its own. */
  format: z.union([z.literal(1), z.literal(2)]),
  dtype: z.enum(['float32', 'float16', 'uint8']),
  pipeline: z.string().optional(),
  components: z.record(z.string().regex(/^[\w-]+$/), component),
  shards: z.array(digest),
  /** Files of what a graph holds beside the weights. */
  constants: z.array(digest).default([]),
  files: z.array(digest),
});

const group = z.object({ paths: z.array(z.string()), weights: z.array(weight) });

const manifest = z.object({
  /** Weights and, in a graph model, the constants of the graph. */
  weightsManifest: z.union([z.tuple([group]), z.tuple([group, group])]),
  userDefinedMetadata: z.object({ ertacache: metadata }),
});

/** How values are stored in a converted model. */
export type TargetType = z.infer<typeof metadata>['dtype'];
/** One tensor, as tfjs's weights manifest describes it. */
export type WeightSpec = z.infer<typeof weight>;
/** A file of a converted model, and what it must hold. */
export type Digest = z.infer<typeof digest>;
export type ArtefactMetadata = z.infer<typeof metadata>;

/** A model as TensorFlow.js itself runs it: `modelTopology` and `signature` of a `model.json`. */
export interface GraphTopology {
  readonly topology: { readonly node: readonly object[] };
  readonly signature: object;
}

/** What the `model.json` of a converted model says. */
export interface ArtefactManifest extends ArtefactMetadata {
  /** In the order of their bytes, which run on from shard to shard. Names are `component/tensor`. */
  readonly weights: readonly WeightSpec[];
}

const AGAIN = 'Convert the model again with `ertacache convert`.';

/**
 * Reads the `model.json` of a converted model.
 * @param file its name, for errors
 * @throws CheckpointError
 */
export function parseManifest(text: string, file: string): ArtefactManifest {
  const refuse = (what: string, hint = AGAIN): never => {
    throw new CheckpointError('index_json', `${file} ${what}.`, { hint });
  };
  let json: unknown;
  try {
    json = parsePlainJson(text);
  } catch {
    return refuse('is not valid JSON');
  }
  const parsed = manifest.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const what = `does not describe a model that this ertacache converted: ${issue.path.join('.')}: ${issue.message}`;
    return refuse(what, 'Convert the model with this version of ertacache.');
  }
  const { ertacache } = parsed.data.userDefinedMetadata;
  const { paths, weights } = parsed.data.weightsManifest[0]!;
  for (const { path } of [...ertacache.shards, ...ertacache.constants]) checkPlainName(path, file);
  for (const { path } of ertacache.files) for (const part of path.split('/')) checkPlainName(part, file);
  if (paths.join('\n') !== ertacache.shards.map(shard => shard.path).join('\n')) {
    return refuse('lists other shards in its manifest than in its metadata');
  }
  const names = new Set(weights.map(spec => spec.name));
  if (names.size !== weights.length) return refuse('lists a tensor twice');
  const stray = weights.find(spec => !Object.hasOwn(ertacache.components, spec.name.split('/')[0]!));
  if (stray) return refuse(`lists the tensor ${stray.name}, which belongs to no component`);
  const needed = weights.reduce((sum, spec) => sum + specBytes(spec), 0);
  const there = ertacache.shards.reduce((sum, shard) => sum + shard.bytes, 0);
  if (needed !== there) return refuse(`lists tensors of ${needed} bytes but shards of ${there}`);
  return { ...ertacache, weights };
}

/** How a tensor is stored, in this project's terms. */
export function storedType(spec: Pick<WeightSpec, 'dtype' | 'quantization'>): StoredType {
  if (spec.quantization) return spec.quantization.dtype === 'uint8' ? 'Q8' : 'F16';
  return { float32: 'F32', int32: 'I32', bool: 'BOOL' }[spec.dtype] as StoredType;
}

/** Bytes that a tensor takes in the shards. */
export function specBytes(spec: WeightSpec): number {
  return elements(spec.shape) * { F32: 4, I32: 4, F16: 2, BOOL: 1, Q8: 1 }[storedType(spec) as 'F32']!;
}

/** A graph and the weights manifest of its constants. */
export interface ManifestGraph extends GraphTopology {
  readonly constants: readonly WeightSpec[];
}

/**
 * The text of a `model.json`, a line for every node of the graph.
 * @param generatedBy the program and its version
 * @param graph what tfjs runs; without it tfjs reads the weights only, since the model is code
 */
export function formatManifest(
  { weights, ...ertacache }: ArtefactManifest,
  generatedBy: string,
  graph?: ManifestGraph,
): string {
  const group = (files: readonly Digest[], specs: readonly WeightSpec[]) => ({
    paths: files.map(({ path }) => path),
    weights: specs,
  });
  const groups = [group(ertacache.shards, weights)];
  if (graph) groups.push(group(ertacache.constants, graph.constants));
  const fields: [string, string][] = [
    ['format', JSON.stringify(graph ? 'graph-model' : 'ertacache')],
    ['generatedBy', JSON.stringify(generatedBy)],
    ['convertedBy', JSON.stringify('ertacache convert')],
    ['modelTopology', graph ? topologyText(graph.topology) : 'null'],
    ...(graph ? [['signature', JSON.stringify(graph.signature, null, 1)] as [string, string]] : []),
    ['weightsManifest', JSON.stringify(groups, null, 1)],
    ['userDefinedMetadata', JSON.stringify({ ertacache }, null, 1)],
  ];
  return `{\n${fields.map(([key, value]) => ` "${key}": ${value}`).join(',\n')}\n}\n`;
}

const lines = (items: readonly object[]): string =>
  `[\n${items.map(item => `  ${JSON.stringify(item)}`).join(',\n')}\n ]`;

function topologyText({ node, ...rest }: GraphTopology['topology']): string {
  const others = Object.entries(rest).map(([key, value]) => `, ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return `{"node": ${lines(node)}${others.join('')}}`;
}
