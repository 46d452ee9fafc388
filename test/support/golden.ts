import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface GoldenTensor {
  shape: number[];
  data: Float32Array | Int32Array;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** The tensors of a golden safetensors file (F32, F16 and I32; F16 is widened). */
export function readGoldenTensors(file: string): Map<string, GoldenTensor> {
  const bytes = readFileSync(file);
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<string, Entry>;
  const tensors = new Map<string, GoldenTensor>();
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const raw = new Uint8Array(bytes.subarray(8 + headerLength + offsets[0], 8 + headerLength + offsets[1])).buffer;
    if (dtype === 'F32') tensors.set(name, { shape, data: new Float32Array(raw) });
    else if (dtype === 'I32') tensors.set(name, { shape, data: new Int32Array(raw) });
    else if (dtype === 'F16') tensors.set(name, { shape, data: Float32Array.from(new Uint16Array(raw), widenHalf) });
    else throw new Error(`${name} is ${dtype}`);
  }
  return tensors;
}

/** Inputs and expected outputs of a golden case. */
export function readGolden(folder: string): Map<string, GoldenTensor> {
  return readGoldenTensors(join(folder, 'io.safetensors'));
}

/** The case file of a golden case. */
export function readGoldenCase<T>(folder: string): T {
  return JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as T;
}

/** Largest difference between two lists of numbers; infinite when their lengths differ or one holds a NaN. */
export function maxAbsDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, difference);
  }
  return largest;
}

function widenHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
