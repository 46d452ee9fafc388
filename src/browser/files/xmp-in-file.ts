import { IoError } from '../../errors';
import { isMp4, xmpBoxIn } from '../../media/mp4-xmp';
import { chunksOf } from './riff';

// Not by a TextDecoder: what it calls latin1 is Windows' own.
const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const startsWith = (bytes: Uint8Array, characters: string): boolean =>
  text(bytes.subarray(0, characters.length)) === characters;

/** The XMP packet of a PNG, JPEG, WebP or MP4 file; nothing where there is none, or where it is another kind of file. */
export async function xmpInFile(bytes: Uint8Array): Promise<string | undefined> {
  if (isMp4(bytes)) return xmpBoxIn(bytes.length, async (begin, end) => bytes.subarray(begin, end));
  const found = startsWith(bytes, '\x89PNG\r\n\x1a\n')
    ? await xmpInPng(bytes)
    : startsWith(bytes, '\xff\xd8\xff')
      ? xmpInJpeg(bytes)
      : startsWith(bytes, 'RIFF') && startsWith(bytes.subarray(8), 'WEBP')
        ? chunksOf(bytes).find(({ type }) => type === 'XMP ')?.content
        : undefined;
  return found && new TextDecoder().decode(found);
}

/**
 * The packet as a page writes it, and compressed as the command line does.
 *
 * Source: PNG specification, third edition, sections 11.3.3.3 and 11.3.3.4.
 */
async function xmpInPng(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  const name = 'XML:com.adobe.xmp\0';
  const [plain, compressed] = [`${name}\0\0\0\0`, `${name}\0`];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const size = view.getUint32(at);
    const content = bytes.subarray(at + 8, at + 8 + size);
    const type = text(bytes.subarray(at + 4, at + 8));
    if (type === 'iTXt' && startsWith(content, plain)) return content.subarray(plain.length);
    if (type === 'zTXt' && startsWith(content, compressed)) return inflated(content.subarray(compressed.length));
    at += 12 + size;
  }
  return undefined;
}

/** A packet has a few kilobytes; one that grows beyond this is none. */
const MOST_INFLATED = 10_000_000;

async function inflated(content: Uint8Array): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let found = 0;
  const stream = new Blob([Uint8Array.from(content)]).stream().pipeThrough(new DecompressionStream('deflate'));
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    found += next.value.length;
    if (found > MOST_INFLATED) {
      await reader.cancel();
      throw new IoError('A compressed text of the file is too large.');
    }
    chunks.push(next.value);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** Source: XMP specification, part 3, section 1.1.3. */
function xmpInJpeg(bytes: Uint8Array): Uint8Array | undefined {
  const head = 'http://ns.adobe.com/xap/1.0/\0';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    const size = view.getUint16(at + 2);
    // From here on come the pixels.
    if (marker === 0xda) return undefined;
    const content = bytes.subarray(at + 4, at + 2 + size);
    if (marker === 0xe1 && startsWith(content, head)) return content.subarray(head.length);
    at += 2 + size;
  }
  return undefined;
}
