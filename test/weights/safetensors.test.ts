import fc from 'fast-check';
import { ErtaError } from '../../src/errors';
import { JsonError, parseStrictJson } from '../../src/io/strict-json';
import type { DType } from '../../src/weights/dtype';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { parseSafetensors } from '../../src/weights/safetensors';

const tensors = new Map<string, TensorToWrite>([
  ['a.weight', { dtype: 'F32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
  ['10', { dtype: 'U8', shape: [3], data: Uint8Array.of(7, 8, 9) }],
  ['__proto__', { dtype: 'F16', shape: [], data: Uint16Array.of(0x3c00) }],
  ['empty', { dtype: 'I64', shape: [0, 4], data: new BigInt64Array(0) }],
]);
const file = encodeSafetensors(tensors, { made: 'for a test' });

/** A file with this header and this many bytes of data. */
function withHeader(header: string, data: number): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

test('what is written is read back', () => {
  const { tensors: found, metadata } = parseSafetensors(file);
  expect(Object.fromEntries(metadata)).toEqual({ made: 'for a test' });
  expect(new Set(found.keys())).toEqual(new Set(tensors.keys()));
  for (const [name, { dtype, shape, data }] of tensors) {
    const span = found.get(name)!;
    expect([span.dtype, span.shape]).toEqual([dtype, shape]);
    expect([...file.subarray(span.begin, span.end)]).toEqual([...new Uint8Array(data.buffer)]);
    expect(span.begin % data.byteLength || 0).toBeLessThan(8);
  }
});

test('the order of the tensors does not change the bytes', () => {
  expect(encodeSafetensors(new Map([...tensors].reverse()), { made: 'for a test' })).toEqual(file);
});

test('data that does not fill its shape is not written', () => {
  const wrong = new Map([['x', { dtype: 'F32' as DType, shape: [2], data: new Float32Array(3) }]]);
  expect(() => encodeSafetensors(wrong)).toThrow('Tensor x has 12 bytes');
});

test.each([
  ['header_entry', '{"x":[]}', 0],
  ['header_entry', '{"x":{"shape":[],"data_offsets":[0,4]}}', 4],
  ['header_entry', '{"x":{"dtype":"F32","shape":"4","data_offsets":[0,4]}}', 4],
  ['header_entry', '{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4,8]}}', 4],
  ['header_entry', '{"__metadata__":{"a":1}}', 0],
  ['dtype', '{"x":{"dtype":"constructor","shape":[],"data_offsets":[0,4]}}', 4],
  ['tensor_size', '{"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}', 6],
  ['tensor_size', '{"x":{"dtype":"F64","shape":[9007199254740991],"data_offsets":[0,8]}}', 8],
  ['offsets', '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,9007199254740993]}}', 4],
  ['offsets', '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0.5,4.5]}}', 4],
  ['offsets', '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 5],
  ['header_json', '{"x":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}', 4],
  ['header_json', ' [[[[', 0],
  ['header_json', '\ufeff{}', 0],
])('refuses with %s: %s', (fault, header, data) => {
  expect(() => parseSafetensors(withHeader(header, data), 'x.safetensors')).toThrow(expect.objectContaining({ fault }));
});

test('headers as others write them are read: padded, spaced, in any order, without tensors', () => {
  const entry = (begin: number) => `{ "data_offsets" : [${begin},${begin + 4}], "shape":[1] ,"dtype":"F32"}`;
  const { tensors: found } = parseSafetensors(withHeader(`{"b":${entry(4)},"a":${entry(0)}}   `, 8));
  expect([...found.keys()]).toEqual(['a', 'b']);
  expect(parseSafetensors(withHeader('{}', 0)).tensors.size).toBe(0);
});

test('a mutated file gives a header or an ErtaError, never anything else', () => {
  const edit = fc.tuple(fc.nat(file.length - 1), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 8 }), fc.nat(file.length), (edits, cut) => {
      const bytes = file.slice(0, file.length - (cut % 40));
      for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
      let end = 0;
      try {
        for (const span of parseSafetensors(bytes).tensors.values()) end = Math.max(end, span.end);
      } catch (error) {
        if (!ErtaError.isInstance(error)) throw error;
        expect(error.message).toMatch(/\.$/);
      }
      expect(end).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: 3000 },
  );
});

test('random bytes give a header or an ErtaError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      try {
        parseSafetensors(bytes);
      } catch (error) {
        expect(ErtaError.isInstance(error)).toBe(true);
      }
    }),
  );
});

test('strict JSON agrees with JSON.parse where that is strict', () => {
  const plain = (value: unknown): unknown => {
    if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
    return Array.isArray(value) ? value.map(plain) : value;
  };
  const key = fc.string().filter(text => text !== '__proto__');
  const json = fc.letrec(tie => ({
    value: fc.oneof({ depthSize: 'small' }, fc.jsonValue(), tie('object')),
    object: fc.dictionary(key, tie('value')),
  })).value;
  fc.assert(
    fc.property(json, fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(plain(parseStrictJson(text))).toEqual(JSON.parse(text));
    }),
  );
  fc.assert(
    fc.property(json, fc.nat(), fc.constantFrom('"', '{', ',', '\\', '0', '', 'x', ']'), (value, at, mark) => {
      const text = JSON.stringify(value);
      const broken = text.slice(0, at % text.length) + mark + text.slice((at % text.length) + 1);
      let valid = true;
      try {
        JSON.parse(broken);
      } catch {
        valid = false;
      }
      if (!valid) expect(() => parseStrictJson(broken)).toThrow(JsonError);
    }),
  );
});

test('deep nesting is refused before the stack is', () => {
  expect(() => parseStrictJson('['.repeat(1_000_000))).toThrow('nesting too deep');
});
