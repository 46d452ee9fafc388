/** The packet in an MP4 file, and files that lie about their boxes. */
import { withXmpBox, xmpBoxIn } from '../../src/media/mp4-xmp';

const read = (file: Uint8Array) => xmpBoxIn(file.length, async (begin, end) => file.subarray(begin, end));

/** A box of a type, with a length that it may lie about. */
function box(type: string, content: number, said = content + 8): Uint8Array {
  const bytes = new Uint8Array(content + 8);
  new DataView(bytes.buffer).setUint32(0, said);
  bytes.set(new TextEncoder().encode(type), 4);
  return bytes;
}
const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

test('a packet is found behind all other boxes', async () => {
  const file = joined(box('ftyp', 8), box('uuid', 20), box('mdat', 100));
  expect(await read(file)).toBeUndefined();
  expect(await read(withXmpBox(file, '<œuf/>'))).toBe('<œuf/>');
  // A box of a length that takes 64 bits.
  const long = joined(box('mdat', 30, 1));
  new DataView(long.buffer).setBigUint64(8, 38n);
  expect(await read(withXmpBox(long, 'x'))).toBe('x');
});

test.each([
  ['a box that goes on beyond the file', joined(box('ftyp', 8), box('mdat', 4, 1000))],
  ['a box shorter than its own head', joined(box('ftyp', 8), box('mdat', 4, 3))],
  ['a long box that says nothing of its length', joined(box('ftyp', 8), box('mdat', 0, 1))],
  ['a last box without an end', joined(box('ftyp', 8), box('mdat', 4, 0))],
  ['half a head', joined(box('ftyp', 8), Uint8Array.from([0, 0, 1]))],
  ['nothing', new Uint8Array()],
])('%s holds no packet', async (_, file) => {
  expect(await read(file)).toBeUndefined();
});
