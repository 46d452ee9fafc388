import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../errors';
import { type ByteFile, joinedFile } from '../io/byte-file';
import { ioError, isFile, readText, transientFile } from '../io/node-file';
import { type ArtefactManifest, type Digest, MODEL_JSON, parseManifest, specBytes, storedType } from './manifest';
import type { ModelComponent } from './model-folder';
import { type StoredTensor, tensorSource } from './source';

/** An opened converted model. */
export interface Artefact {
  readonly manifest: ArtefactManifest;
  readonly components: ReadonlyMap<string, ModelComponent>;
  /** A file that was stored beside the weights, by its relative path. */
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
}

const AGAIN = 'Convert or download the model again.';

/**
 * Opens a folder that `ertacache convert` wrote. Sizes are checked at once, and the SHA-256 of each file before its
 * first bytes are used.
 * @throws CheckpointError naming the file that is missing, cut or changed
 */
export async function openArtefact(folder: string): Promise<Artefact> {
  const path = join(folder, MODEL_JSON);
  const manifest = parseManifest(await readText(path), path);
  const shards = await Promise.all(manifest.shards.map(shard => openShard(folder, shard)));
  const all = joinedFile(folder, shards);

  const tensors = new Map(Object.keys(manifest.components).map(name => [name, new Map<string, StoredTensor>()]));
  let begin = 0;
  let shard = 0;
  let shardEnd = shards[0]?.size ?? 0;
  for (const spec of manifest.weights) {
    while (shard + 1 < shards.length && shardEnd <= begin) shardEnd += shards[++shard]!.size;
    const [component, ...rest] = spec.name.split('/');
    tensors.get(component!)!.set(rest.join('/'), {
      dtype: storedType(spec),
      shape: spec.shape,
      isLaidOut: manifest.components[component!]!.layout === 'layers',
      file: all,
      begin,
      fileName: shards[shard]?.name,
      quantization: spec.quantization?.dtype === 'uint8' ? spec.quantization : undefined,
    });
    begin += specBytes(spec);
  }

  const components = Object.entries(manifest.components).map(([name, { className, config, sourceSha256 }]) => {
    const where = `${folder} (${name})`;
    const source = tensorSource(tensors.get(name)!, shards, where);
    return [name, { className, config, source, where, contentHash: sourceSha256 }] as const;
  });
  return {
    manifest,
    components: new Map(components),
    readFile: file => readAttachment(folder, file, manifest.files),
  };
}

/** True for a folder that looks like a converted model. */
export function isArtefact(folder: string): Promise<boolean> {
  return isFile(join(folder, MODEL_JSON));
}

async function openShard(folder: string, { path, bytes, sha256 }: Digest): Promise<ByteFile> {
  const full = join(folder, path);
  if (!(await isFile(full))) {
    throw new CheckpointError('missing_shard', `${join(folder, MODEL_JSON)} names ${path}, which is not there.`, {
      hint: AGAIN,
    });
  }
  const file = await transientFile(full);
  if (file.size !== bytes) {
    throw new CheckpointError('truncated_data', `${full} has ${file.size} bytes and should have ${bytes}.`, {
      hint: AGAIN,
    });
  }
  let verified: true | Promise<void> | undefined;
  // Once verified, a read is under way when the call returns: reads ahead rely on it.
  async function checked<T>(read: () => Promise<T>): Promise<T> {
    if (verified === true) return read();
    verified ??= verify(file, sha256);
    await verified;
    verified = true;
    return read();
  }
  return {
    ...file,
    read: (begin, end) => checked(() => file.read(begin, end)),
    readInto: (begin, target) => checked(() => file.readInto(begin, target)),
  };
}

/** Bytes that are hashed at a time. */
const HASHED = 8_000_000;

async function verify(file: ByteFile, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  for (let at = 0; at < file.size; at += HASHED) hash.update(await file.read(at, Math.min(at + HASHED, file.size)));
  if (hash.digest('hex') !== sha256) throw changed(file.name);
}

async function readAttachment(
  folder: string,
  path: string,
  files: readonly Digest[],
): Promise<Uint8Array<ArrayBuffer>> {
  const full = join(folder, path);
  const digest = files.find(file => file.path === path);
  if (!digest) {
    throw new CheckpointError('missing_config', `${folder} holds no ${path}.`, { hint: 'Convert the whole pipeline.' });
  }
  const bytes = await readFile(full).catch(error => {
    throw ioError(full, error);
  });
  if (createHash('sha256').update(bytes).digest('hex') !== digest.sha256) throw changed(full);
  return Uint8Array.from(bytes);
}

function changed(name: string): CheckpointError {
  const message = `${name} does not hold what was written: its SHA-256 is not that of ${MODEL_JSON}.`;
  return new CheckpointError('truncated_data', message, { hint: AGAIN });
}
