import { CheckpointError } from '../errors';
import { type ByteFile, joinedFile } from '../io/byte-file';
import { type Folder, readBytesIn, readTextIn } from '../io/folder';
import { sha256, sha256Stream } from '../io/sha256';
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
export async function openArtefact(folder: Folder): Promise<Artefact> {
  const manifest = parseManifest(await readTextIn(folder, MODEL_JSON), folder.pathTo(MODEL_JSON));
  const shards = await Promise.all(manifest.shards.map(shard => openShard(folder, shard)));
  const all = joinedFile(folder.name, shards);

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
    const where = `${folder.name} (${name})`;
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
export function isArtefact(folder: Folder): Promise<boolean> {
  return folder.has(MODEL_JSON);
}

async function openShard(folder: Folder, { path, bytes, sha256: digest }: Digest): Promise<ByteFile> {
  if (!(await folder.has(path))) {
    throw new CheckpointError('missing_shard', `${folder.pathTo(MODEL_JSON)} names ${path}, which is not there.`, {
      hint: AGAIN,
    });
  }
  const file = await folder.open(path, { transient: true });
  if (file.size !== bytes) {
    throw new CheckpointError('truncated_data', `${file.name} has ${file.size} bytes and should have ${bytes}.`, {
      hint: AGAIN,
    });
  }
  let verified: true | Promise<void> | undefined;
  // Once verified, a read is under way when the call returns: reads ahead rely on it.
  async function checked<T>(read: () => Promise<T>): Promise<T> {
    if (verified === true) return read();
    verified ??= verify(file, digest);
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

async function verify(file: ByteFile, digest: string): Promise<void> {
  const hash = sha256Stream();
  for (let at = 0; at < file.size; at += HASHED) hash.update(await file.read(at, Math.min(at + HASHED, file.size)));
  if (hash.digest() !== digest) throw changed(file.name);
}

async function readAttachment(
  folder: Folder,
  path: string,
  files: readonly Digest[],
): Promise<Uint8Array<ArrayBuffer>> {
  const listed = files.find(file => file.path === path);
  if (!listed) {
    throw new CheckpointError('missing_config', `${folder.name} holds no ${path}.`, {
      hint: 'Convert the whole pipeline.',
    });
  }
  const bytes = await readBytesIn(folder, path);
  if (sha256(bytes) !== listed.sha256) throw changed(folder.pathTo(path));
  return bytes;
}

function changed(name: string): CheckpointError {
  const message = `${name} does not hold what was written: its SHA-256 is not that of ${MODEL_JSON}.`;
  return new CheckpointError('truncated_data', message, { hint: AGAIN });
}
