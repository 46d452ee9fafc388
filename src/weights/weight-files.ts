import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../errors';
import type { ByteFile } from '../io/byte-file';
import { isFile, openFile, readText } from '../io/node-file';
import { safetensorsSource } from './safetensors-source';
import { parseShardIndex, shardedSource } from './shard-index';
import type { TensorSource } from './source';

/** Names that diffusers and transformers give to a model's weights, without their endings. */
export const HUB_STEMS: readonly string[] = ['diffusion_pytorch_model', 'model'];

export interface WeightFileOptions {
  /** Takes the files of a variant such as `fp16` in place of the plain ones. */
  readonly variant?: string;
  /** Names to look for, without their endings. */
  readonly stems?: readonly string[];
}

/**
 * Opens the weights in a model folder: one safetensors file, or the shards that an index names.
 * @throws CheckpointError
 */
export async function openWeights(folder: string, options: WeightFileOptions = {}): Promise<TensorSource> {
  const { variant, stems = HUB_STEMS } = options;
  for (const stem of stems) {
    for (const name of fileNames(stem, variant)) {
      const path = join(folder, name);
      if (!(await isFile(path))) continue;
      return name.endsWith('.json') ? openShards(folder, path) : openSafetensors(path);
    }
  }
  throw await noWeights(folder, stems, variant);
}

/** Opens one safetensors file. */
export async function openSafetensors(path: string): Promise<TensorSource> {
  const file = await openFile(path);
  return closingOnFailure([file], () => safetensorsSource(file));
}

async function openShards(folder: string, index: string): Promise<TensorSource> {
  const shardOf = parseShardIndex(await readText(index), index);
  const files = new Map<string, ByteFile>();
  const opened: ByteFile[] = [];
  return closingOnFailure(opened, async () => {
    for (const shard of new Set(shardOf.values())) {
      const path = join(folder, shard);
      if (!(await isFile(path))) {
        throw new CheckpointError('missing_shard', `${index} names the shard ${shard}, which is not there.`, {
          hint: `Download ${shard} into ${folder}.`,
        });
      }
      const file = await openFile(path);
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

async function noWeights(folder: string, stems: readonly string[], variant?: string): Promise<CheckpointError> {
  const wanted = stems.map(stem => fileNames(stem, variant)[0]).join(' or ');
  const files = await readdir(folder).catch(() => []);
  const other = files.find(name => name.endsWith('.safetensors'));
  const pickle = files.find(name => /\.(bin|pt|pth|ckpt)$/.test(name));
  let hint = 'Download the weights into this folder.';
  if (other) hint = `It holds ${other}: pass that file itself, or its variant with --variant.`;
  else if (pickle) hint = `ertacache does not read ${pickle}, since loading a pickle runs its code: take safetensors.`;
  return new CheckpointError('missing_weights', `${folder} holds no weights (${wanted}, or an index of shards).`, {
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
