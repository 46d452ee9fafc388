import { CheckpointError } from '../errors';
import type { ByteFile } from '../io/byte-file';
import { type Folder, readTextIn } from '../io/folder';
import { isGguf } from './gguf';
import { ggufSource } from './gguf-source';
import { safetensorsSource } from './safetensors-source';
import { parseShardIndex, shardedSource } from './shard-index';
import type { TensorSource } from './source';

/** How a library names a model's weights. */
interface Naming {
  /** Without its endings. */
  readonly stem: string;
  /** Whether it takes an index of shards where there is a single file as well; the other is then left over. */
  readonly prefersIndex: boolean;
}

/** diffusers writes transformers and autoencoders under the first name, transformers writes text encoders. */
const LIBRARIES: readonly Naming[] = [
  { stem: 'diffusion_pytorch_model', prefersIndex: true },
  { stem: 'model', prefersIndex: false },
];

const STEMS = LIBRARIES.map(({ stem }) => stem);

export interface WeightFileOptions {
  /** Takes the files of a variant such as `fp16` in place of the plain ones. */
  readonly variant?: string | undefined;
  /** Names to look for, without their endings. */
  readonly stems?: readonly string[] | undefined;
}

/**
 * Opens the weights in a model folder: one safetensors file, or the shards that an index names.
 * @throws CheckpointError
 */
export async function openWeights(folder: Folder, options: WeightFileOptions = {}): Promise<TensorSource> {
  const namings = options.stems?.map(stem => ({ stem, prefersIndex: false })) ?? LIBRARIES;
  const name = await weightFile(folder, namings, options.variant);
  if (name !== undefined) {
    return name.endsWith('.json') ? openShards(folder, name) : openSafetensors(await folder.open(name));
  }
  throw await noWeights(
    folder,
    namings.map(naming => naming.stem),
    options.variant,
  );
}

/** Whether a model folder holds weights that `openWeights` would take. */
export async function hasWeights(folder: Folder, { variant }: WeightFileOptions = {}): Promise<boolean> {
  return (await weightFile(folder, LIBRARIES, variant)) !== undefined;
}

/** The file to open, a single one or an index; those of the only variant where there are no plain ones. */
async function weightFile(folder: Folder, namings: readonly Naming[], variant?: string): Promise<string | undefined> {
  for (const naming of namings) {
    for (const name of fileNames(naming, variant)) if (await folder.has(name)) return name;
  }
  if (variant !== undefined) return undefined;
  const files = (await folder.list?.().catch(() => [])) ?? [];
  const [only, ...others] = variantsIn(
    files,
    namings.map(({ stem }) => stem),
  ).keys();
  return only === undefined || others.length > 0 ? undefined : weightFile(folder, namings, only);
}

/** The tensors of one safetensors file, which is closed when it is refused. */
export async function openSafetensors(file: ByteFile): Promise<TensorSource> {
  return closingOnFailure([file], () => safetensorsSource(file));
}

/** The tensors of one file, GGUF or safetensors, told by its first bytes. It is closed when it is refused. */
export async function openTensors(file: ByteFile): Promise<TensorSource> {
  return closingOnFailure([file], async () => {
    const isNamed = /\.gguf$/i.test(file.name);
    return isNamed || isGguf(await file.read(0, Math.min(4, file.size))) ? ggufSource(file) : safetensorsSource(file);
  });
}

async function openShards(folder: Folder, name: string): Promise<TensorSource> {
  const index = folder.pathTo(name);
  const shardOf = parseShardIndex(await readTextIn(folder, name), index);
  const files = new Map<string, ByteFile>();
  const opened: ByteFile[] = [];
  return closingOnFailure(opened, async () => {
    for (const shard of new Set(shardOf.values())) {
      if (!(await folder.has(shard))) {
        throw new CheckpointError('missing_shard', `${index} names the shard ${shard}, which is not there.`, {
          hint: `Download ${shard} into ${folder.name}.`,
        });
      }
      const file = await folder.open(shard);
      opened.push(file);
      files.set(shard, file);
    }
    return shardedSource(index, shardOf, files);
  });
}

/** In the order in which the library looks for them. */
function fileNames({ stem, prefersIndex }: Naming, variant: string | undefined): string[] {
  const single = singleName(stem, variant);
  const indices =
    variant === undefined
      ? [`${single}.index.json`]
      : [`${stem}.safetensors.index.${variant}.json`, `${single}.index.json`];
  return prefersIndex ? [...indices, single] : [single, ...indices];
}

const singleName = (stem: string, variant: string | undefined): string =>
  variant === undefined ? `${stem}.safetensors` : `${stem}.${variant}.safetensors`;

async function noWeights(folder: Folder, stems: readonly string[], variant?: string): Promise<CheckpointError> {
  const wanted = stems.map(stem => singleName(stem, variant)).join(' or ');
  const files = (await folder.list?.().catch(() => [])) ?? [];
  const message = `${folder.name} holds no weights (${wanted}, or an index of shards).`;
  return new CheckpointError('missing_weights', message, { hint: whatElse(files, stems) });
}

/** What there is in place of the weights that were looked for. */
function whatElse(files: readonly string[], stems: readonly string[]): string {
  const variants = variantsIn(files, stems);
  const [first] = variants.keys();
  if (first !== undefined) {
    const held = [...variants].map(([variant, file]) => `${file}, of the variant ${variant}`).join('; ');
    return `It holds ${held}: ask for it with --variant ${first}, in the library with the option variant.`;
  }
  if (files.some(name => stems.some(stem => name.startsWith(`${stem}.safetensors`)))) {
    return 'It holds the plain weights, of no variant: leave --variant out.';
  }
  const other = files.find(name => /^[^/]+\.safetensors$/.test(name));
  if (other) return `It holds ${other}, which is no name that the libraries give: rename it, or download it again.`;
  const pickle = files.find(name => /^[^/]+\.(bin|pt|pth|ckpt)$/.test(name));
  if (pickle) return `ertacache does not read ${pickle}, since loading a pickle runs its code: take safetensors.`;
  return 'Download the weights into this folder.';
}

/** The variants of which there are weights, such as `fp16`, each with the first of its files. */
function variantsIn(files: readonly string[], stems: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of [...files].sort()) {
    const variant = variantOf(file, stems);
    if (variant !== undefined && !found.has(variant)) found.set(variant, file);
  }
  return found;
}

/**
 * The variant that a file's name tells, of weights or an index of shards; undefined for plain weights and other files.
 * @param file its name, without a folder
 */
export function variantOf(file: string, stems: readonly string[] = STEMS): string | undefined {
  const stem = stems.find(name => file.startsWith(`${name}.`));
  const rest = stem === undefined ? '' : file.slice(stem.length + 1);
  const [, variant] =
    /^(\w+?)(?:-\d+-of-\d+)?\.safetensors(?:\.index\.json)?$/.exec(rest) ??
    /^safetensors\.index\.(\w+)\.json$/.exec(rest) ??
    [];
  return variant;
}

async function closingOnFailure<T>(files: readonly ByteFile[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await Promise.all(files.map(file => file.close()));
    throw error;
  }
}
