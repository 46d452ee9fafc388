import * as tf from '@tensorflow/tfjs-core';
import { askForLargePages } from '../io/aligned';
import { compileKernels, type KernelModule } from '../nn/wasm/module';
import { elements } from './dtype';
import type { NativeMaker } from './native-tensor';
import type { Parameter } from './parameters';
import { blockOf, type StoredType, storedBytes } from './stored-type';

/** How the kernel calls what it decodes. */
const KINDS = { Q4_0: 0, Q8_0: 1 } as const;
/** It takes so many rows at a time. */
const ROWS = 16;

/** About as many stored bytes are decoded at a time. */
const PIECE = 2 ** 18;
/** TensorFlow takes memory where it is that begins at a multiple of this. */
const ALIGN = 64;
const WASM_PAGE = 2 ** 16;
const MOST_PAGES = 2 ** 16;

/** A matrix that is to be decoded. */
export interface Wanted {
  readonly parameter: Parameter;
  readonly dtype: StoredType;
}

/** Memory for the matrices of one block at a time, where TensorFlow computes with them. */
export interface Arena {
  /** Decodes a matrix into the next free place; undefined for what it does not do. */
  readonly make: NativeMaker;
  /** All that was made is disposed: its memory is taken again. */
  reset(): void;
}

/**
 * Decodes quantised matrices by a kernel in WebAssembly whose memory TensorFlow then reads, so that every block comes to
 * lie where the one before it lay: memory that is new to a process costs more than the decoding.
 * @param blocks the matrices of each block
 * @returns undefined where there is nothing for it to do, or no room
 */
export async function arenaFor(blocks: readonly (readonly Wanted[])[]): Promise<Arena | undefined> {
  const own = blocks.map(block => block.filter(isDecoded));
  const most = Math.max(0, ...own.map(block => block.reduce((sum, { parameter }) => sum + placeOf(parameter), 0)));
  if (most === 0) return undefined;
  const input = Math.max(...own.flat().map(wanted => pieceOf(wanted) * strideOf(wanted)));
  const kernel = await kernelWith(most + aligned(input) + WASM_PAGE);
  if (!kernel) return undefined;
  const { memory, module } = kernel;
  const scratch = ALIGN;
  const piece = scratch + aligned(module.widenScratch());
  const first = piece + aligned(input);
  const end = first + most;
  const bytes = new Uint8Array(memory);
  let free = first;

  function make(parameter: Parameter, dtype: StoredType, stored: Uint8Array<ArrayBuffer>): tf.Tensor | undefined {
    const wanted = { parameter, dtype };
    if (!isDecoded(wanted) || free + placeOf(parameter) > end) return undefined;
    const [rows, columns] = parameter.shape as [number, number];
    const [stride, step] = [strideOf(wanted), pieceOf(wanted)];
    for (let row = 0; row < rows; row += step) {
      const count = Math.min(step, rows - row);
      bytes.set(stored.subarray(row * stride, (row + count) * stride), piece);
      module.widen(KINDS[wanted.dtype], piece, stride, count, columns, free + row * 4, rows * 4, scratch);
    }
    const values = new Float32Array(memory, free, rows * columns);
    free += placeOf(parameter);
    return tf.tensor2d(values, [columns, rows]);
  }

  return {
    make,
    reset() {
      free = first;
    },
  };
}

type Decoded = Wanted & { readonly dtype: keyof typeof KINDS };

function isDecoded(wanted: Wanted): wanted is Decoded {
  const { parameter, dtype } = wanted;
  if (!Object.hasOwn(KINDS, dtype) || parameter.layout !== 'matrix') return false;
  const [rows = 0, columns = 0] = parameter.shape;
  return rows > 0 && rows % ROWS === 0 && columns > 0 && columns % blockOf(dtype).elements === 0;
}

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGN) * ALIGN;
const placeOf = ({ shape }: Parameter): number => aligned(elements(shape) * 4);
const strideOf = ({ parameter, dtype }: Wanted): number => storedBytes(dtype, parameter.shape[1]!);
/** Rows that are decoded at a time. */
const pieceOf = (wanted: Wanted): number => Math.max(1, Math.floor(PIECE / strideOf(wanted) / ROWS)) * ROWS;

async function kernelWith(bytes: number): Promise<{ memory: ArrayBuffer; module: KernelModule } | undefined> {
  const pages = Math.ceil(bytes / WASM_PAGE);
  if (pages > MOST_PAGES) return undefined;
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    askForLargePages(new Uint8Array(memory.buffer));
    // The plain level: a product is rounded as everywhere else.
    const kernels = await compileKernels(memory, 'plain');
    return kernels && { memory: memory.buffer as ArrayBuffer, module: kernels.module };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
