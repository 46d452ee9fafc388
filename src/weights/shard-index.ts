import { CheckpointError } from '../errors';
import type { ByteFile } from '../io/byte-file';
import { isJsonObject, type Json, JsonError, parseStrictJson } from '../io/strict-json';
import { readHeader, storedTensors } from './safetensors-source';
import { withScales } from './scales';
import { type StoredTensor, type TensorSource, tensorSource } from './source';

const AGAIN = 'Download or export the checkpoint again, the index and all its shards together.';

/**
 * Reads a `*.safetensors.index.json`: which shard holds which tensor.
 * @param file the index's name, for errors
 * @returns tensor name → shard, a plain file name in the index's own folder
 * @throws CheckpointError
 */
export function parseShardIndex(text: string, file: string): ReadonlyMap<string, string> {
  const index = parseIndexJson(text, file);
  const map = isJsonObject(index) ? index.get('weight_map') : undefined;
  if (!isJsonObject(map) || map.size === 0) {
    throw new CheckpointError('index_json', `${file} has no weight_map that names shards.`, { hint: AGAIN });
  }
  const shards = new Map<string, string>();
  for (const [name, shard] of map) {
    if (typeof shard !== 'string') {
      throw new CheckpointError('index_json', `The weight_map of ${file} gives no file for ${name}.`, { hint: AGAIN });
    }
    checkPlainName(shard, file);
    shards.set(name, shard);
  }
  return shards;
}

/** @throws CheckpointError `unsafe_path` unless `path` is the plain name of a file beside the one that names it */
export function checkPlainName(path: string, file: string): void {
  if (path !== '' && path !== '.' && path !== '..' && !/[\\/:\0]/.test(path)) return;
  throw new CheckpointError('unsafe_path', `${file} names the file "${path}", which is not in its own folder.`, {
    hint: 'ertacache reads nothing outside the model folder; do not use this checkpoint unless you know who made it.',
  });
}

/**
 * The tensors of a sharded checkpoint. Every shard must hold exactly the tensors that the index gives it.
 * @param index its name, for errors
 * @param shardOf the parsed index
 * @param files the opened shards by name; the source owns and closes them
 */
export async function shardedSource(
  index: string,
  shardOf: ReadonlyMap<string, string>,
  files: ReadonlyMap<string, ByteFile>,
): Promise<TensorSource> {
  const tensors = new Map<string, StoredTensor>();
  const metadata = new Map<string, string>();
  for (const [shard, file] of files) {
    const header = await readHeader(file);
    for (const [key, value] of header.metadata) metadata.set(key, value);
    for (const [name, tensor] of storedTensors(file, header)) {
      const owner = shardOf.get(name);
      if (owner !== shard) {
        const what = owner ? `${index} gives it to ${owner}` : `${index} does not name it`;
        throw new CheckpointError('unexpected_key', `${file.name} holds ${name}, but ${what}.`, { hint: AGAIN });
      }
      tensors.set(name, tensor);
    }
  }
  for (const [name, shard] of shardOf) {
    if (tensors.has(name)) continue;
    throw new CheckpointError('missing_key', `${index} says that ${shard} holds ${name}, but it does not.`, {
      hint: AGAIN,
    });
  }
  return tensorSource(await withScales(tensors, metadata, index), [...files.values()], index);
}

function parseIndexJson(text: string, file: string): Json {
  try {
    return parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new CheckpointError('index_json', `${file} is not valid JSON: ${error.message}.`, { hint: AGAIN });
  }
}
