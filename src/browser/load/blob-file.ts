import { IoError } from '../../errors';
import { type ByteFile, outside } from '../../io/byte-file';

/** A file whose bytes are a blob: of those that the browser holds on its disk, only what is read is in memory. */
export function blobFile(name: string, blob: Blob): ByteFile {
  async function read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    if (begin < 0 || end > blob.size) throw outside(name, begin, end, blob.size);
    try {
      return new Uint8Array(await blob.slice(begin, end).arrayBuffer());
    } catch (cause) {
      throw new IoError(`${name} could not be read from the browser's storage.`, { hint: 'Load it again.', cause });
    }
  }
  return {
    name,
    size: blob.size,
    read,
    readInto: async (begin, target) => target.set(await read(begin, begin + target.length)),
    bypassCache() {},
    close: async () => {},
  };
}
