/** Where an array has to begin so that TensorFlow takes it without a copy: large blocks of memory begin 16 past it. */
const OFFSET = 48;

/**
 * Zeros that TensorFlow's C library can use where they are. Without that every weight would be in memory twice, from
 * its first use until JavaScript happens to collect its garbage.
 */
export function alignedFloat32(count: number): Float32Array<ArrayBuffer> {
  return new Float32Array(new ArrayBuffer(count * 4 + OFFSET), OFFSET, count);
}

/** The same for bytes. */
export function alignedBytes(count: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(count + OFFSET), OFFSET, count);
}

/** Every tensor that shares a buffer begins at a multiple of this. */
export const ALIGNMENT = 64;
