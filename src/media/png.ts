import { zlibSync } from 'fflate';
import { crc32 } from './crc32';
import { frameSize, type Image, toBytes } from './pixels';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const COLOURS = 3;

/**
 * A picture as a PNG file, 8 bits a colour, without loss. Not by a canvas, because browsers that guard against
 * fingerprinting change the pixels that come out of one; nor by sharp, which takes longer to load than a picture to encode.
 * Compressed in JavaScript, because what runtimes bring for it differs: the same pixels are the same file everywhere.
 *
 * Source: PNG specification, third edition, sections 5, 7, 9 and 11.
 * @param image the picture
 * @param xmp a packet that the file is to hold
 * @returns the file's content
 */
export function encodePng(image: Image, xmp?: string): Uint8Array<ArrayBuffer> {
  const { width, height } = frameSize(image);
  const size = new DataView(new ArrayBuffer(13));
  size.setUint32(0, width);
  size.setUint32(4, height);
  // 8 bits of red, green and blue; the only compression and filters there are; not interlaced.
  new Uint8Array(size.buffer).set([8, 2, 0, 0, 0], 8);
  const parts = [
    Uint8Array.from(SIGNATURE),
    ...chunk('IHDR', new Uint8Array(size.buffer)),
    ...(xmp === undefined ? [] : chunk('iTXt', text('XML:com.adobe.xmp', xmp))),
    ...chunk('IDAT', new Uint8Array(zlibSync(filtered(toBytes(image), width * COLOURS)))),
    ...chunk('IEND', new Uint8Array()),
  ];
  return joined(parts);
}

/** The parts of a chunk: length and type, content, check. */
function chunk(type: string, content: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, content.length);
  head.set(new TextEncoder().encode(type), 4);
  const check = new Uint8Array(4);
  new DataView(check.buffer).setUint32(0, crc32(head.subarray(4), content));
  return [head, content, check];
}

/** International text: keyword, not compressed, no language, no translation. */
function text(keyword: string, value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${keyword}\0\0\0\0\0${value}`);
}

/** Filters by their numbers in a file: none, left, above, the mean of both, Paeth. */
const FILTERS = [0, 1, 2, 3, 4] as const;

/** What a filter takes a value to be, from those to its left, above, and above left. */
function guess(filter: (typeof FILTERS)[number], left: number, above: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  const [a, b, c] = [Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

/** Each row by the filter that leaves the smallest differences, as the specification advises (section 12.7). */
function filtered(bytes: Uint8Array, stride: number): Uint8Array<ArrayBuffer> {
  const rows = bytes.length / stride;
  const out = new Uint8Array(rows * (stride + 1));
  const trial = new Uint8Array(stride);
  let above: Uint8Array = new Uint8Array(stride);
  for (let row = 0; row < rows; row++) {
    const values = bytes.subarray(row * stride, (row + 1) * stride);
    const to = row * (stride + 1);
    let least = Number.POSITIVE_INFINITY;
    for (const filter of FILTERS) {
      let sum = 0;
      for (let x = 0; x < stride && sum < least; x++) {
        const left = x < COLOURS ? 0 : values[x - COLOURS]!;
        const corner = x < COLOURS ? 0 : above[x - COLOURS]!;
        const difference = (values[x]! - guess(filter, left, above[x]!, corner)) & 0xff;
        trial[x] = difference;
        sum += difference < 128 ? difference : 256 - difference;
      }
      if (sum >= least) continue;
      least = sum;
      out[to] = filter;
      out.set(trial, to + 1);
    }
    above = values;
  }
  return out;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
