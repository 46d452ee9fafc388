import { DTYPE_BYTES, type DType } from './dtype';

/** How many elements are stored together, and in how many bytes. */
export interface Block {
  readonly elements: number;
  readonly bytes: number;
}

/** The quantised types of GGUF files. Elements of a block are neighbours along the last axis and share their scales. */
export const GGUF_BLOCKS = {
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q2_K: { elements: 256, bytes: 84 },
  Q3_K: { elements: 256, bytes: 110 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
} as const satisfies Readonly<Record<string, Block>>;

/** A quantised type, by its name in ggml. */
export type BlockType = keyof typeof GGUF_BLOCKS;

/**
 * How a tensor is stored: a safetensors type, a quantised type of GGUF, or `Q8` of converted models, unsigned bytes
 * that mean `byte * scale + min`.
 */
export type StoredType = DType | BlockType | 'Q8';

export function isBlockType(dtype: string): dtype is BlockType {
  return Object.hasOwn(GGUF_BLOCKS, dtype);
}

/** What of a type cannot be divided: one element, or one block of a quantised type. */
export function blockOf(dtype: StoredType): Block {
  if (isBlockType(dtype)) return GGUF_BLOCKS[dtype];
  return { elements: 1, bytes: dtype === 'Q8' ? 1 : DTYPE_BYTES[dtype] };
}

/** Bytes of `count` elements, which are whole blocks. */
export function storedBytes(dtype: StoredType, count: number): number {
  const { elements, bytes } = blockOf(dtype);
  return (count / elements) * bytes;
}

/** Whether the type was chosen to save memory: widened, its values take several times as much. */
export function isQuantised(dtype: StoredType): boolean {
  return isBlockType(dtype) || dtype === 'F8_E4M3' || dtype === 'F8_E5M2';
}
