const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * Whether a PNG file is animated: has a chunk `acTL`, before its pixels, that says more than one frame.
 *
 * Source: PNG specification, third edition, sections 5.3 and 11.3.6.1.
 */
export function isAnimatedPng(bytes: Uint8Array): boolean {
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; at + 12 <= bytes.length; ) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === 'IDAT') return false;
    if (type === 'acTL') return view.getUint32(at + 8) > 1;
    at += 12 + view.getUint32(at);
  }
  return false;
}
