/** Where an array has to begin so that TensorFlow takes it without a copy: large blocks of memory begin 16 past it. */
const OFFSET = 48;

/**
 * Zeros that TensorFlow's C library can use where they are. Without that every weight would be in memory twice, from
 * its first use until JavaScript happens to collect its garbage.
 */
export function alignedFloat32(count: number): Float32Array<ArrayBuffer> {
  return new Float32Array(new ArrayBuffer(count * 4 + OFFSET), OFFSET, count);
}

/** How memory and files are divided: reads past the page cache begin and end at multiples of it. */
export const PAGE = 4096;

/**
 * Where a part of a large block of memory begins in its page: the allocator keeps 16 bytes at the block's front. A
 * guess, as JavaScript cannot see addresses; who builds on it must bear that it is wrong.
 */
export function placeInPage(part: Uint8Array): number {
  return (part.byteOffset + 16) % PAGE;
}

let largePages: ((bytes: Uint8Array) => void) | undefined;

/** Brings a way to ask the system for large pages beneath some bytes, which JavaScript has not. */
export function provideLargePages(ask: (bytes: Uint8Array) => void): void {
  largePages = ask;
}

/** Asks for large pages beneath these bytes, where they are available: memory that is new comes faster. */
export function askForLargePages(bytes: Uint8Array): void {
  largePages?.(bytes);
}

/**
 * Zeros whose first byte begins a page, as far as `placeInPage` can tell; on large pages, which disks read into faster,
 * where they are available.
 */
export function pageAlignedBytes(count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(count + PAGE), PAGE - 16, count);
  askForLargePages(bytes);
  return bytes;
}
