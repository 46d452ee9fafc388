import { CheckpointError } from '../errors';
import { MAX_HEADER_BYTES } from './safetensors';

/** Thrown where the bytes at hand end before the header does, while the file goes on: more of it has to be read. */
export class MoreBytes extends Error {}

export const AGAIN = 'Download or export the file again.';

/** Reads numbers and texts of a GGUF header one after the other. */
export interface Cursor {
  /** Offset of what is read next. */
  readonly at: number;
  /** Bytes of the file from there on. */
  readonly left: number;
  u32(): number;
  u64(): bigint;
  /** A value of so many bytes, read as `read` does. */
  value<T>(bytes: number, read: (view: DataView, at: number) => T): T;
  /** A text with its length before it. @param what begins the sentence of the error */
  text(what: string): string;
  /** Refuses a number of things that the rest of the file cannot hold. @param bytes that each takes at least */
  count(value: bigint, bytes: number, what: string): number;
}

/**
 * @param bytes the first bytes of the file
 * @param size bytes of the whole file
 * @throws CheckpointError `truncated_header`, `header_length` or `header_entry`, and {@link MoreBytes}
 */
export function cursorOf(bytes: Uint8Array, size: number, file: string): Cursor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 0;

  function take(count: number): number {
    const begin = at;
    if (begin + count > size) {
      const message = `${file} ends after ${size} bytes, inside its header.`;
      throw new CheckpointError('truncated_header', message, { hint: AGAIN });
    }
    if (begin + count > bytes.length) throw new MoreBytes();
    at += count;
    return begin;
  }

  const cursor: Cursor = {
    get at() {
      return at;
    },
    get left() {
      return size - at;
    },
    u32: () => view.getUint32(take(4), true),
    u64: () => view.getBigUint64(take(8), true),
    value: (count, read) => read(view, take(count)),
    text(what) {
      const length = cursor.count(cursor.u64(), 1, `${what} of a length`);
      const begin = take(length);
      try {
        return decoder.decode(bytes.subarray(begin, begin + length));
      } catch (cause) {
        throw new CheckpointError('header_entry', `${what} in ${file} is not UTF-8.`, { hint: AGAIN, cause });
      }
    },
    count(value, width, what) {
      // As BigInt: a number above 2^53 must not be rounded into something that passes.
      const needed = value * BigInt(width);
      if (needed <= BigInt(size - at)) return Number(value);
      // What a sound header could hold was cut off; anything else was never there.
      const fault = needed <= MAX_HEADER_BYTES ? 'truncated_header' : 'header_length';
      const message = `${file} claims ${what} of ${value}, and only ${size - at} bytes follow.`;
      throw new CheckpointError(fault, message, { hint: AGAIN });
    },
  };
  return cursor;
}
