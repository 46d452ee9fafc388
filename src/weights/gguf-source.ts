import { CheckpointError } from '../errors';
import type { ByteFile } from '../io/byte-file';
import { type GgufHeader, parseGguf } from './gguf';
import { AGAIN, MoreBytes } from './gguf-cursor';
import { MAX_HEADER_BYTES } from './safetensors';
import { type TensorSource, tensorSource } from './source';

/** Bytes that are read first; headers of transformers are shorter, those with a tokenizer are not. */
const FIRST_READ = 2 ** 18;

/** Reads and checks the header of a GGUF file; the data is left alone. */
export async function readGgufHeader(file: ByteFile): Promise<GgufHeader> {
  for (let length = FIRST_READ; ; length *= 4) {
    const bytes = await file.read(0, Math.min(length, MAX_HEADER_BYTES, file.size));
    try {
      return parseGguf(bytes, file.size, file.name);
    } catch (error) {
      if (!(error instanceof MoreBytes)) throw error;
      if (bytes.length < MAX_HEADER_BYTES) continue;
      throw new CheckpointError('header_length', `${file.name} has a header of more than 100 MB.`, { hint: AGAIN });
    }
  }
}

/**
 * The tensors of one GGUF file. The source owns `file` and closes it.
 * @param file the whole file; `memoryFile` for bytes in memory
 * @returns the tensors; the header is checked, values are read when asked for
 * @throws CheckpointError for a header that is damaged
 */
export async function ggufSource(file: ByteFile): Promise<TensorSource> {
  const { tensors } = await readGgufHeader(file);
  const stored = [...tensors].map(([name, { dtype, shape, begin }]) => [name, { dtype, shape, begin, file }] as const);
  return tensorSource(new Map(stored), [file], file.name);
}
