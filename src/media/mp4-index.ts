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
      const type = typeAt(bytes, at);
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

/** The boxes that the description of the pictures lies in, with the bytes before what each holds. */
const TO_PICTURES = { moov: 8, trak: 8, mdia: 8, minf: 8, stbl: 8, stsd: 16, avc1: 86 };

/** A box `colr` of the kind `nclx`: primaries and transfer of BT.709, matrix of BT.601, video range. */
const COLOUR = Uint8Array.from([0, 0, 0, 19, 0x63, 0x6f, 0x6c, 0x72, 0x6e, 0x63, 0x6c, 0x78, 0, 1, 0, 1, 0, 6, 0]);

/**
 * An MP4 with one video track, whose index is behind its frames, that says what its colours mean. Players take BT.709 for
 * what is of 720 lines and more and does not say so.
 *
 * Source of the layouts: ISO/IEC 14496-12, sections 8.5.2 and 12.1.5; ISO/IEC 14496-15 (`avc1`). Of the numbers: ITU-T H.273.
 */
export function withColour(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const boxes: number[] = [];
  let [at, end] = [0, file.length];
  for (const [type, head] of Object.entries(TO_PICTURES)) {
    while (at + 8 <= end && typeAt(file, at) !== type) at += Math.max(8, view.getUint32(at));
    if (at + 8 > end) return file;
    boxes.push(at);
    end = at + view.getUint32(at);
    at += head;
  }
  const whole = new Uint8Array(file.length + COLOUR.length);
  whole.set(file.subarray(0, end));
  whole.set(COLOUR, end);
  whole.set(file.subarray(end), end + COLOUR.length);
  for (const box of boxes) new DataView(whole.buffer).setUint32(box, view.getUint32(box) + COLOUR.length);
  return whole;
}

const typeAt = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at + 4, at + 8));
