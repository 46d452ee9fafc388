import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../../src/errors';
import { memoryFile } from '../../src/io/byte-file';
import { openFile } from '../../src/io/node-file';
import { openTensorsAt } from '../../src/weights/disk';
import type { GgufValue } from '../../src/weights/gguf-metadata';
import { ggufSource, readGgufHeader } from '../../src/weights/gguf-source';

interface Case {
  readonly file: string;
  readonly error: string;
  readonly must_mention: string;
}

const fixtures = join(__dirname, '../fixtures/quantized');
const bad = join(fixtures, 'bad_gguf');
const { cases, good } = JSON.parse(readFileSync(join(bad, 'cases.json'), 'utf8')) as {
  cases: Case[];
  good: { 'img_in.weight': number[][]; 'img_in.bias': number[] };
};

test.each(cases.filter(({ error }) => error !== 'none'))('$file is refused with $error', async one => {
  const thrown = await openTensorsAt(join(bad, one.file)).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(CheckpointError);
  const { fault, message, hint } = thrown as CheckpointError;
  expect(one.error.split('|')).toContain(fault);
  expect(message).toContain(one.file);
  expect(message).toContain(one.must_mention);
  expect(message).toMatch(/^[^\n]*\.$/);
  expect(hint).toMatch(/^[^\n]*\.$/);
});

test('the sound file beside them is read', async () => {
  const source = await openTensorsAt(join(bad, 'good.gguf'));
  expect(Array.from(await source.read('img_in.weight'))).toEqual(good['img_in.weight'].flat());
  expect(Array.from(await source.read('img_in.bias'))).toEqual(good['img_in.bias']);
  expect(Array.from(await source.read('img_in.weight', { start: 30, count: 4 }))).toEqual(
    good['img_in.weight'].flat().slice(30, 34),
  );
  await source.close();
});

interface Described {
  readonly metadata: Record<string, { type: string; of?: string; value: GgufValue }>;
  readonly tensors_in_file: Record<string, { type: string; shape: number[]; nbytes: number; absolute_offset: number }>;
}

const plain = (value: GgufValue): unknown =>
  typeof value === 'bigint' ? String(value) : Array.isArray(value) ? value.map(plain) : value;

test.each(['gguf_types', 'gguf_meta_align64', 'gguf_wan_5d', 'gguf_flux_kquants'])(
  '%s: metadata and table',
  async name => {
    const expected = JSON.parse(readFileSync(join(fixtures, name, 'case.json'), 'utf8')) as Described;
    const file = await openFile(join(fixtures, name, 'model.gguf'));
    const { metadata, tensors } = await readGgufHeader(file);
    await file.close();
    const wanted = Object.entries(expected.metadata).map(([key, { value }]) => [key, value]);
    expect(Object.fromEntries([...metadata].map(([key, value]) => [key, plain(value)]))).toEqual(
      Object.fromEntries(
        wanted.map(([key, value]) => [key, typeof value === 'number' ? value : plain(value as GgufValue)]),
      ),
    );
    expect([...tensors.keys()].sort()).toEqual(Object.keys(expected.tensors_in_file).sort());
    for (const [tensor, { type, nbytes, absolute_offset }] of Object.entries(expected.tensors_in_file)) {
      const { dtype, begin, end } = tensors.get(tensor)!;
      expect([tensor, dtype, begin, end - begin]).toEqual([tensor, type, absolute_offset, nbytes]);
    }
  },
);

test('a slice of a quantised tensor may begin and end inside a block, its bytes may not', async () => {
  const bytes = new Uint8Array(readFileSync(join(fixtures, 'gguf_types/model.gguf')));
  const source = await ggufSource(memoryFile('a.gguf', bytes));
  const name = source.names.find(tensor => source.entry(tensor).dtype === 'Q4_K')!;
  const whole = await source.read(name);
  expect(await source.read(name, { start: 100, count: 300 })).toEqual(whole.slice(100, 400));
  await expect(source.readRaw(name, { start: 100, count: 300 })).rejects.toThrow('whole blocks of 256');
});

test('a header longer than what is read at first', async () => {
  const name = 'x'.repeat(400_000);
  const header = new Uint8Array(24 + 8 + name.length + 4 + 4);
  const view = new DataView(header.buffer);
  header.set(new TextEncoder().encode('GGUF'));
  view.setUint32(4, 3, true);
  view.setBigUint64(16, 1n, true);
  view.setBigUint64(24, BigInt(name.length), true);
  header.set(new TextEncoder().encode(name), 32);
  view.setUint32(32 + name.length, 4, true);
  view.setUint32(36 + name.length, 7, true);
  const { metadata } = await readGgufHeader(memoryFile('long.gguf', header));
  expect(metadata.get(name)).toBe(7);
});
