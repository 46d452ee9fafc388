/** A chunk of a RIFF file. */
export interface Chunk {
  /** Four characters. */
  readonly type: string;
  readonly content: Uint8Array;
}

const HEAD = 8;
const even = (size: number): number => size + (size % 2);

/** A chunk as bytes. */
export function riffChunk(type: string, content: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(HEAD + even(content.length));
  chunk.set(new TextEncoder().encode(type));
  new DataView(chunk.buffer).setUint32(4, content.length, true);
  chunk.set(content, HEAD);
  return chunk;
}

/** A file of chunks. */
export function riff(kind: string, chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 4);
  const file = new Uint8Array(HEAD + size);
  const text = new TextEncoder();
  file.set(text.encode('RIFF'));
  new DataView(file.buffer).setUint32(4, size, true);
  file.set(text.encode(kind), HEAD);
  let at = HEAD + 4;
  for (const chunk of chunks) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file;
}

/** The chunks of a RIFF file, as far as they are whole. */
export function chunksOf(file: Uint8Array): Chunk[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const chunks: Chunk[] = [];
  for (let at = HEAD + 4; at + HEAD <= file.length; ) {
    const size = view.getUint32(at + 4, true);
    const begin = at + HEAD;
    if (begin + size > file.length) break;
    const type = String.fromCharCode(...file.subarray(at, at + 4));
    chunks.push({ type, content: file.subarray(begin, begin + size) });
    at = begin + even(size);
  }
  return chunks;
}
