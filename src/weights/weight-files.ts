import { CheckpointError } from '../errors';
import type { ByteFile } from '../io/byte-file';
import { type Folder, readTextIn } from '../io/folder';
import { safetensorsSource } from './safetensors-source';
import { parseShardIndex, shardedSource } from './shard-index';
import type { TensorSource } from './source';

/** Names that diffusers and transformers give to a model's weights, without their endings. */
export const HUB_STEMS: readonly string[] = ['diffusion_pytorch_model', 'model'];

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
  const { variant, stems = HUB_STEMS } = options;
  for (const stem of stems) {
    for (const name of fileNames(stem, variant)) {
      if (!(await folder.has(name))) continue;
      return name.endsWith('.json') ? openShards(folder, name) : openSafetensors(await folder.open(name));
    }
  }
  throw await noWeights(folder, stems, variant);
}

/** The tensors of one safetensors file, which is closed when it is refused. */
export async function openSafetensors(file: ByteFile): Promise<TensorSource> {
  return closingOnFailure([file], () => safetensorsSource(file));
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

function fileNames(stem: string, variant: string | undefined): string[] {
  if (variant === undefined) return [`${stem}.safetensors`, `${stem}.safetensors.index.json`];
  return [
    `${stem}.${variant}.safetensors`,
    `${stem}.safetensors.index.${variant}.json`,
    `${stem}.${variant}.safetensors.index.json`,
  ];
}

async function noWeights(folder: Folder, stems: readonly string[], variant?: string): Promise<CheckpointError> {
  const wanted = stems.map(stem => fileNames(stem, variant)[0]).join(' or ');
  const files = (await folder.list?.().catch(() => [])) ?? [];
  const other = files.find(name => /^[^/]+\.safetensors$/.test(name));
  const pickle = files.find(name => /^[^/]+\.(bin|pt|pth|ckpt)$/.test(name));
  let hint = 'Download the weights into this folder.';
  if (other) hint = `It holds ${other}: pass that file itself, or its variant with --variant.`;
  else if (pickle) hint = `ertacache does not read ${pickle}, since loading a pickle runs its code: take safetensors.`;
  return new CheckpointError('missing_weights', `${folder.name} holds no weights (${wanted}, or an index of shards).`, {
    hint,
  });
}

async function closingOnFailure<T>(files: readonly ByteFile[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await Promise.all(files.map(file => file.close()));
    throw error;
  }
}
