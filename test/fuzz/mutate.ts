import fc from 'fast-check';

/** A change of some bytes; places count modulo the length. */
interface ByteEdit {
  readonly kind: 'set' | 'insert' | 'remove' | 'repeat' | 'cut';
  readonly at: number;
  readonly length: number;
  readonly value: number;
}

const byteEdit: fc.Arbitrary<ByteEdit> = fc.record({
  kind: fc.constantFrom('set', 'insert', 'remove', 'repeat', 'cut'),
  at: fc.nat(),
  length: fc.nat({ max: 64 }),
  value: fc.nat({ max: 255 }),
});

function editBytes(bytes: Uint8Array, { kind, at, length, value }: ByteEdit): Uint8Array {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  switch (kind) {
    case 'set':
      return Uint8Array.of(...before, value, ...after.subarray(1));
    case 'insert':
      return Uint8Array.of(...before, ...new Uint8Array(length).fill(value), ...after);
    case 'remove':
      return Uint8Array.of(...before, ...after.subarray(length));
    case 'repeat':
      return Uint8Array.of(...before, ...after.subarray(0, length), ...after);
    case 'cut':
      return before.slice();
  }
}

/** A file with a few bytes changed; edits stay near the front of large ones, where headers are. */
export function brokenBytes(original: Uint8Array): fc.Arbitrary<Uint8Array> {
  const head = original.subarray(0, 4096);
  return fc
    .array(byteEdit, { minLength: 1, maxLength: 4 })
    .map(edits => Buffer.concat([edits.reduce(editBytes, head), original.subarray(4096)]));
}

/** As bytes of UTF-8, broken in its bytes. */
export const brokenText = (original: string): fc.Arbitrary<Uint8Array> => brokenBytes(Buffer.from(original));

const deep = (levels: number): unknown => {
  let value: unknown = 0;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
};

/** Values that programs stumble over. */
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[null, true, false, 0, -1, 1.5, 1e9, 2 ** 53, -(2 ** 53), 1e300, 5e-324, '', ' ', '0', 'NaN', '__proto__'],
    ...['constructor', '../../etc/passwd', '/etc/passwd', '\u0000', '\u001b[31mred\u001b[0m', 'a\nb', '\ud800'],
    ...['x'.repeat(100_000), [], {}, [[]], deep(500), Array(1000).fill(1e9)],
  ),
  fc.integer(),
  fc.double({ noNaN: true }),
  fc.string(),
  fc.jsonValue({ maxDepth: 3 }),
);

interface JsonEdit {
  readonly kind: 'replace' | 'remove' | 'add' | 'rename';
  readonly path: readonly number[];
  readonly key: string;
  readonly value: unknown;
}

const jsonEdit: fc.Arbitrary<JsonEdit> = fc.record({
  kind: fc.constantFrom('replace', 'replace', 'replace', 'remove', 'add', 'rename'),
  path: fc.array(fc.nat({ max: 1000 }), { minLength: 1, maxLength: 8 }),
  key: fc.oneof(fc.constantFrom('__proto__', 'constructor', 'a', 'type'), fc.string({ maxLength: 8 })),
  value: oddValue,
});

type Container = Record<string, unknown>;

/** Changes `json` in place, at a place that the path's numbers choose. */
function editJson(json: unknown, { kind, path, key, value: odd }: JsonEdit): unknown {
  // A copy: a later edit may be inside it.
  const value = structuredClone(odd);
  if (typeof json !== 'object' || json === null) return value;
  let parent = json as Container;
  let name = '';
  for (const step of path) {
    const names = Object.keys(parent);
    if (names.length === 0) break;
    name = names[step % names.length]!;
    const child = parent[name];
    if (typeof child !== 'object' || child === null) break;
    if (step === path.at(-1)) break;
    parent = child as Container;
    name = Object.keys(parent)[0] ?? '';
  }
  const set = (place: string, what: unknown): void =>
    void Object.defineProperty(parent, place, { value: what, enumerable: true, configurable: true, writable: true });
  if (kind === 'replace' && name !== '') set(name, value);
  if (kind === 'add') Array.isArray(parent) ? parent.push(value) : set(key, value);
  if (kind === 'remove' && name !== '') Array.isArray(parent) ? parent.splice(Number(name), 1) : delete parent[name];
  if (kind === 'rename' && name !== '' && !Array.isArray(parent)) {
    set(key, parent[name]);
    delete parent[name];
  }
  return json;
}

/** A JSON value with a few places changed. */
export function brokenJson(original: unknown): fc.Arbitrary<unknown> {
  return fc
    .array(jsonEdit, { minLength: 1, maxLength: 3 })
    .map(edits => edits.reduce(editJson, structuredClone(original)));
}

/** The same as the bytes of a file, of which some are broken as text too. */
export function brokenJsonFile(original: unknown): fc.Arbitrary<Uint8Array> {
  const asBytes = brokenJson(original).map(json => new Uint8Array(Buffer.from(JSON.stringify(json) ?? 'undefined')));
  return fc.oneof({ arbitrary: asBytes, weight: 3 }, { arbitrary: brokenText(JSON.stringify(original)), weight: 1 });
}
