const CONTAINERS = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl']);

/**
 * Mends, in place, the index of an MP4 with one video track: clears the times of writing, which would make every file
 * different, and sets the frames' duration from `fps`, which the encoder rounds to a whole number.
 *
 * Source of the layouts: ISO/IEC 14496-12, boxes of version 0.
 */
export function mendIndex(bytes: Uint8Array, frames: number, fps: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ticksPerSecond = 90_000;
  const ticks = Math.round(ticksPerSecond / fps);

  const visit = (start: number, end: number): void => {
    for (let at = start; at + 8 <= end; ) {
      const size = view.getUint32(at);
      const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
      if (size < 8) return;
      if (CONTAINERS.has(type)) visit(at + 8, at + size);
      mend(type, at + 12);
      at += size;
    }
  };

  /** `at` is past size, type, version and flags. */
  const mend = (type: string, at: number): void => {
    if (type === 'mvhd' || type === 'mdhd') {
      bytes.fill(0, at, at + 8);
      view.setUint32(at + 8, ticksPerSecond);
      view.setUint32(at + 12, frames * ticks);
    } else if (type === 'tkhd') {
      bytes.fill(0, at, at + 8);
      view.setUint32(at + 16, frames * ticks);
    } else if (type === 'stts') {
      for (let entry = 0; entry < view.getUint32(at); entry++) view.setUint32(at + 8 + 8 * entry, ticks);
    }
  };

  visit(0, bytes.byteLength);
}
