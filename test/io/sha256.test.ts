import { createHash } from 'node:crypto';
import { portableStream, sha256, sha256Stream } from '../../src/io/sha256';

const bytes = Uint8Array.from({ length: 100_003 }, (_, i) => (i * 31) % 251);

test.each([
  ["Node's", sha256Stream],
  ['the portable', portableStream],
])('%s SHA-256 is that of the standard, in whatever pieces it is fed', (_, begin) => {
  expect(begin().digest()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  expect(begin().update('abc').digest()).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  const expected = createHash('sha256').update('ä\n').update(bytes).digest('hex');
  const hash = begin().update('ä\n');
  for (let at = 0; at < bytes.length; at += 777) hash.update(bytes.subarray(at, at + 777));
  expect(hash.digest()).toBe(expected);
});

test('without Node it is the portable one', () => {
  const known = sha256(bytes);
  const found = jest.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined as never);
  expect(sha256(bytes)).toBe(known);
  found.mockRestore();
});
