import { frameSize, type Image, toBytes } from '../../media/pixels';
import { crc32 } from './crc32';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const COLOURS = 3;

/**
 * A picture as a PNG file, 8 bits a colour. Not by a canvas: browsers that guard against fingerprinting change the pixels
 * that come out of one.
 *
 * Source: PNG specification, third edition, sections 5, 7, 9 and 11.
 * @param image the picture
 * @param xmp a packet that the file is to hold
 * @returns the file's content
 */
export async function encodePng(image: Image, xmp?: string): Promise<Uint8Array<ArrayBuffer>> {
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
    ...chunk('IDAT', await deflated(filtered(toBytes(image), width * COLOURS))),
    ...chunk('IEND', new Uint8Array()),
  ];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
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

/** Each row as its difference to the one above, which drawn pictures compress better by. */
function filtered(bytes: Uint8Array, stride: number): Uint8Array<ArrayBuffer> {
  const rows = bytes.length / stride;
  const out = new Uint8Array(rows * (stride + 1));
  for (let row = 0; row < rows; row++) {
    const to = row * (stride + 1);
    out[to] = 2;
    for (let x = 0; x < stride; x++) {
      const above = row === 0 ? 0 : bytes[(row - 1) * stride + x]!;
      out[to + 1 + x] = bytes[row * stride + x]! - above;
    }
  }
  return out;
}

async function deflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
