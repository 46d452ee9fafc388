/**
 * The character that stands for each byte in a byte-pair vocabulary: itself where it can be seen, else one of the first
 * characters after Latin-1, in order.
 */
const CHARACTERS = (() => {
  const visible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : 256 + others++));
})();

/** A text as the characters that stand for its bytes in UTF-8. */
export function byteCharacters(text: string): string {
  return Array.from(new TextEncoder().encode(text), byte => CHARACTERS[byte]).join('');
}
