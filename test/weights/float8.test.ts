import { CheckpointError } from '../../src/errors';
import { memoryFile } from '../../src/io/byte-file';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import type { TensorSource } from '../../src/weights/source';

const codes: TensorToWrite = { dtype: 'F8_E4M3', shape: [2, 2], data: Uint8Array.from([0x38, 0xb8, 0x40, 0x01]) };
const float = (values: number[], shape: number[] = [values.length]): TensorToWrite => ({
  dtype: 'F32',
  shape,
  data: Float32Array.from(values),
});
const json = (value: unknown): TensorToWrite => {
  const data = new TextEncoder().encode(JSON.stringify(value));
  return { dtype: 'U8', shape: [data.length], data };
};

const sourceOf = (tensors: Record<string, TensorToWrite>, metadata?: Record<string, string>): Promise<TensorSource> =>
  safetensorsSource(memoryFile('a.safetensors', encodeSafetensors(new Map(Object.entries(tensors)), metadata)));

const refused = async (tensors: Record<string, TensorToWrite>, metadata?: Record<string, string>) => {
  const thrown = await sourceOf(tensors, metadata).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(CheckpointError);
  return thrown as CheckpointError;
};

test.each(['scale_weight', 'weight_scale'])('the scale that lies beside a weight as %s', async name => {
  const source = await sourceOf({
    'a.weight': codes,
    [`a.${name}`]: float([0.5], []),
    'a.scale_input': float([3]),
    'a.bias': float([1, 2]),
    'model.scaled_fp8': { dtype: 'F8_E4M3', shape: [0], data: new Uint8Array(0) },
    'a.comfy_quant': json({ format: 'float8_e4m3fn', full_precision_matrix_mult: true }),
  });
  expect(source.names).toEqual(['a.bias', 'a.weight']);
  expect(Array.from(await source.read('a.weight'))).toEqual([0.5, -0.5, 1, 2 ** -10]);
  expect(Array.from(await source.read('a.bias'))).toEqual([1, 2]);
  expect(source.entry('a.weight').scale).toBe(0.5);
});

test.each([[[2]], [[2, 1]]])('one scale for each row, of the shape %j, whatever is read of the weight', async shape => {
  const source = await sourceOf({ 'a.weight': codes, 'a.weight_scale': float([0.5, 4], shape) });
  expect(Array.from(await source.read('a.weight'))).toEqual([0.5, -0.5, 8, 2 ** -7]);
  expect(Array.from(await source.read('a.weight', { start: 1, count: 2 }))).toEqual([-0.5, 8]);
  const bytes = await source.readRaw('a.weight', { start: 2, count: 2 });
  expect(Array.from(source.widen('a.weight', bytes, 2))).toEqual([8, 2 ** -7]);
});

test('a scale of nothing stays a tensor, so that it is found to be one too many', async () => {
  const source = await sourceOf({ 'b.scale_weight': float([1]), 'a.weight': codes });
  expect(source.names).toEqual(['a.weight', 'b.scale_weight']);
});

test('formats that are not read are refused by name', async () => {
  const beside = await refused({ 'a.weight': codes, 'a.comfy_quant': json({ format: 'nvfp4' }) });
  expect([beside.fault, beside.message]).toEqual([
    'dtype',
    'a.safetensors is quantised as "nvfp4", which ertacache does not read.',
  ]);
  const layers = { a: { format: 'float8_e5m2' }, b: { format: 'mxfp8' } };
  const header = await refused({ 'a.weight': codes }, { _quantization_metadata: JSON.stringify({ layers }) });
  expect([header.fault, header.message]).toEqual([
    'dtype',
    'a.safetensors is quantised as "mxfp8", which ertacache does not read.',
  ]);
});

test.each([
  ['three scales', { 'a.scale_weight': float([1, 2, 3]) }, {}, 'shape_mismatch', 'a.scale_weight'],
  ['scales of columns', { 'a.weight_scale': float([1, 2], [1, 2]) }, {}, 'shape_mismatch', 'a.weight_scale'],
  ['a scale that is no number', { 'a.scale_weight': float([Number.NaN]) }, {}, 'non_finite', 'a.scale_weight'],
  ['a mark that is not JSON', { 'a.comfy_quant': float([1]) }, {}, 'header_entry', 'a.comfy_quant'],
  ['a header that is not JSON', {}, { _quantization_metadata: '{' }, 'header_entry', '_quantization_metadata'],
] as const)('%s', async (_, tensors, metadata, fault, named) => {
  const error = await refused({ 'a.weight': codes, ...tensors }, metadata);
  expect(error.fault).toBe(fault);
  expect(error.message).toContain(named);
});
