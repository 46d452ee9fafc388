import { z } from 'zod';
import { CheckpointError } from '../errors';
import { elements } from './dtype';
import { parsePlainJson } from './plain-json';
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
});

const metadata = z.object({
  /** Version of this layout. */
  format: z.literal(1),
  dtype: z.enum(['float32', 'float16', 'uint8']),
  pipeline: z.string().optional(),
  components: z.record(z.string().regex(/^[\w-]+$/), component),
  shards: z.array(digest),
  files: z.array(digest),
});

const manifest = z.object({
  weightsManifest: z.array(z.object({ paths: z.array(z.string()), weights: z.array(weight) })).length(1),
  userDefinedMetadata: z.object({ ertacache: metadata }),
});

/** How values are stored in a converted model. */
export type TargetType = z.infer<typeof metadata>['dtype'];
/** One tensor, as tfjs's weights manifest describes it. */
export type WeightSpec = z.infer<typeof weight>;
/** A file of a converted model, and what it must hold. */
export type Digest = z.infer<typeof digest>;
export type ArtefactMetadata = z.infer<typeof metadata>;

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
  for (const { path } of ertacache.shards) checkPlainName(path, file);
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

/**
 * The text of a `model.json`. tfjs reads `weightsManifest`; there is no topology, since the model is code.
 * @param generatedBy the program and its version
 */
export function formatManifest({ weights, ...ertacache }: ArtefactManifest, generatedBy: string): string {
  const json = {
    format: 'ertacache',
    generatedBy,
    convertedBy: 'ertacache convert',
    modelTopology: null,
    weightsManifest: [{ paths: ertacache.shards.map(shard => shard.path), weights }],
    userDefinedMetadata: { ertacache },
  };
  return `${JSON.stringify(json, null, 1)}\n`;
}
