import { chunksOf } from './riff';

// Not by a TextDecoder: what it calls latin1 is Windows' own.
const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const startsWith = (bytes: Uint8Array, characters: string): boolean =>
  text(bytes.subarray(0, characters.length)) === characters;

/** The XMP packet of a PNG, JPEG or WebP file; nothing where there is none, or where it is another kind of file. */
export function xmpInFile(bytes: Uint8Array): string | undefined {
  const found = startsWith(bytes, '\x89PNG\r\n\x1a\n')
    ? xmpInPng(bytes)
    : startsWith(bytes, '\xff\xd8\xff')
      ? xmpInJpeg(bytes)
      : startsWith(bytes, 'RIFF') && startsWith(bytes.subarray(8), 'WEBP')
        ? chunksOf(bytes).find(({ type }) => type === 'XMP ')?.content
        : undefined;
  return found && new TextDecoder().decode(found);
}

/** Source: PNG specification, third edition, section 11.3.3.4; what is compressed is not ours. */
function xmpInPng(bytes: Uint8Array): Uint8Array | undefined {
  const head = 'XML:com.adobe.xmp\0\0\0\0\0';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const size = view.getUint32(at);
    const content = bytes.subarray(at + 8, at + 8 + size);
    if (text(bytes.subarray(at + 4, at + 8)) === 'iTXt' && startsWith(content, head)) {
      return content.subarray(head.length);
    }
    at += 12 + size;
  }
  return undefined;
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
