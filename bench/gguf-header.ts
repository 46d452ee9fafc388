import { GGUF_TYPES } from '../src/weights/gguf-types';
import { type StoredType, storedBytes } from '../src/weights/stored-type';

/** A tensor of a GGUF file that is to be written. */
export interface GgufTensor {
  readonly name: string;
  /** In PyTorch's order. */
  readonly shape: readonly number[];
  readonly dtype: StoredType;
}

const ALIGNMENT = 32;

/** What stands before the data of a GGUF file of version 3, and where the data of each tensor go after it. */
export function ggufHeader(tensors: readonly GgufTensor[]): { header: Buffer; offsets: number[]; bytes: number } {
  const parts: Buffer[] = [];
  const u32 = (value: number): void => {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    parts.push(part);
  };
  const u64 = (value: number): void => {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    parts.push(part);
  };
  const text = (value: string): void => {
    const part = Buffer.from(value);
    u64(part.length);
    parts.push(part);
  };
  const typeOf = new Map([...GGUF_TYPES].map(([number, name]) => [name, number]));
  parts.push(Buffer.from('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(1);
  text('general.alignment');
  u32(4);
  u32(ALIGNMENT);
  const offsets: number[] = [];
  let bytes = 0;
  for (const { name, shape, dtype } of tensors) {
    text(name);
    u32(shape.length);
    for (const side of [...shape].reverse()) u64(side);
    u32(typeOf.get(dtype)!);
    u64(bytes);
    offsets.push(bytes);
    const size = storedBytes(
      dtype,
      shape.reduce((a, b) => a * b, 1),
    );
    bytes += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(Buffer.alloc(Math.ceil(length / ALIGNMENT) * ALIGNMENT - length));
  return { header: Buffer.concat(parts), offsets, bytes };
}
