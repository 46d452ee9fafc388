import type { ByteFile } from '../io/byte-file';
import { HEAD_BYTES, headerLength, parseHeader, type SafetensorsHeader } from './safetensors';
import { withScales } from './scales';
import { type StoredTensor, type TensorSource, tensorSource } from './source';

/** Reads and checks the header of a safetensors file; the data is left alone. */
export async function readHeader(file: ByteFile): Promise<SafetensorsHeader> {
  const head = await file.read(0, Math.min(HEAD_BYTES, file.size));
  const length = headerLength(head, file.size, file.name);
  return parseHeader(await file.read(8, 8 + length), file.size, file.name);
}

/**
 * The tensors of one safetensors file. The source owns `file` and closes it.
 * @param file the whole file; `memoryFile` for bytes in memory
 * @returns the tensors; headers are checked, values are read when asked for
 * @throws CheckpointError for a header that is damaged
 */
export async function safetensorsSource(file: ByteFile): Promise<TensorSource> {
  const header = await readHeader(file);
  const tensors = await withScales(storedTensors(file, header), header.metadata, file.name);
  return tensorSource(tensors, [file], file.name);
}

/** Where the tensors of a file lie, by name. */
export function storedTensors(file: ByteFile, header: SafetensorsHeader): Map<string, StoredTensor> {
  return new Map([...header.tensors].map(([name, { dtype, shape, begin }]) => [name, { dtype, shape, begin, file }]));
}
