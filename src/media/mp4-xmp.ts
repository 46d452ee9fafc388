/*
 * An XMP packet in an MP4 file: a box of its own after all others, which players pass over.
 *
 * Source: ISO/IEC 14496-12, section 4.2 (boxes); XMP specification, part 3, section 1.2.7 (their place and number).
 */

const UUID = Uint8Array.from([
  0xbe, 0x7a, 0xcf, 0xcb, 0x97, 0xa9, 0x42, 0xe8, 0x9c, 0x71, 0x99, 0x94, 0x91, 0xe3, 0xaf, 0xac,
]);
const HEAD = 8;
/** A packet has a few kilobytes. */
const MOST = 10_000_000;

/** The file with a packet at its end. */
export function withXmpBox(file: Uint8Array, xmp: string): Uint8Array<ArrayBuffer> {
  const packet = new TextEncoder().encode(xmp);
  const size = HEAD + UUID.length + packet.length;
  const whole = new Uint8Array(file.length + size);
  whole.set(file);
  new DataView(whole.buffer).setUint32(file.length, size);
  whole.set(new TextEncoder().encode('uuid'), file.length + 4);
  whole.set(UUID, file.length + HEAD);
  whole.set(packet, file.length + HEAD + UUID.length);
  return whole;
}

/** Whether a file begins as MP4 files do. */
export const isMp4 = (head: Uint8Array): boolean => typeAt(head) === 'ftyp';

/**
 * The packet of an MP4 file; nothing where there is none.
 * @param size of the file
 * @param read reads a part of it
 */
export async function xmpBoxIn(
  size: number,
  read: (begin: number, end: number) => Promise<Uint8Array>,
): Promise<string | undefined> {
  for (let at = 0; at + HEAD <= size; ) {
    const head = await read(at, Math.min(size, at + HEAD + UUID.length));
    const length = lengthOf(head, size - at);
    if (length === undefined || at + length > size) return undefined;
    const packet = length - HEAD - UUID.length;
    if (typeAt(head) === 'uuid' && packet >= 0 && packet <= MOST && UUID.every((byte, i) => head[HEAD + i] === byte)) {
      return new TextDecoder().decode(await read(at + HEAD + UUID.length, at + length));
    }
    at += length;
  }
  return undefined;
}

const typeAt = (head: Uint8Array): string => String.fromCharCode(...head.subarray(4, HEAD));

/** Bytes of a box, its head included; those that are left where it says that it is the last. */
function lengthOf(head: Uint8Array, left: number): number | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const said = view.getUint32(0);
  if (said === 0) return left;
  if (said >= HEAD) return said;
  return said === 1 && head.length >= 2 * HEAD ? Math.max(2 * HEAD, Number(view.getBigUint64(HEAD))) : undefined;
}
