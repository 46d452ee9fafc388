import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { disk } from '../io/fs';
import { ioError } from '../io/node-file';
import { type Sha256, sha256Stream } from '../io/sha256';
import type { Digest } from './manifest';

/** Writes a stream of bytes into files of equal size. */
export interface ShardWriter {
  write(bytes: Uint8Array): Promise<void>;
  /** Closes the last shard. @returns what was written, in order */
  finish(): Promise<Digest[]>;
  /** Closes the open file after a failure. */
  abandon(): Promise<void>;
}

/**
 * @param total bytes that will be written in all, which gives the number in the shards' names
 * @param shardBytes size of every shard but the last
 * @param group number of the group of files that the shards make up
 */
export function shardWriter(folder: string, total: number, shardBytes: number, group = 1): ShardWriter {
  const count = Math.ceil(total / shardBytes);
  const done: Digest[] = [];
  let current: { handle: FileHandle; hash: Sha256; path: string; bytes: number } | undefined;

  async function start() {
    const path = `group${group}-shard${done.length + 1}of${count}.bin`;
    const full = join(folder, path);
    const handle = await disk.open(full, 'wx').catch(error => {
      throw ioError(full, error);
    });
    return { handle, hash: sha256Stream(), path, bytes: 0 };
  }

  async function closeShard(): Promise<void> {
    if (!current) return;
    const { handle, hash, path, bytes } = current;
    current = undefined;
    await disk
      .sync(handle)
      .catch(error => {
        throw ioError(join(folder, path), error);
      })
      .finally(() => handle.close());
    done.push({ path, bytes, sha256: hash.digest() });
  }

  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length; ) {
        current ??= await start();
        const part = bytes.subarray(at, at + shardBytes - current.bytes);
        const { handle, path } = current;
        await disk.write(handle, part).catch(error => {
          throw ioError(join(folder, path), error);
        });
        current.hash.update(part);
        current.bytes += part.length;
        at += part.length;
        if (current.bytes === shardBytes) await closeShard();
      }
    },
    async finish() {
      await closeShard();
      return done;
    },
    async abandon() {
      await current?.handle.close();
      current = undefined;
    },
  };
}
