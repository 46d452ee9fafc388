import { closeSync, fsyncSync, ftruncateSync, openSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { familyOf } from '../src/models/families';
import { elements } from '../src/weights/dtype';
import type { ParameterTable } from '../src/weights/parameters';
import { storedBytes } from '../src/weights/stored-type';
import { type GgufTensor, ggufHeader } from './gguf-header';

/** Values that are written at a time. */
const CHUNK = 2 ** 23;

/** A transformer of made-up weights, for {@link writeModel}. */
export function writeCheckpoint(
  folder: string,
  config: { readonly _class_name: string },
): { path: string; bytes: number } {
  const known = familyOf(config._class_name);
  const { paths, bytes } = writeModel(folder, config, known.parameters(known.schema.parse(config)));
  return { path: paths[0] as string, bytes };
}

/**
 * Writes a model folder of made-up float16 weights, at the speed of the disk: numbers between 2⁻⁸ and 2⁻⁵ of both
 * signs, of which each chunk takes another stretch of a long random row.
 * @param stem name of the weight files without their ending
 * @param shards files that the weights are spread over, with an index where there are several
 * @returns paths and size of the weight files
 */
export function writeModel(
  folder: string,
  config: object,
  table: ParameterTable,
  { stem = 'diffusion_pytorch_model', shards = 1 } = {},
): { paths: string[]; bytes: number } {
  const bytes = table.reduce((sum, { shape }) => sum + 2 * elements(shape), 0);
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < 1.05 * bytes) {
    throw new Error(`${dirname(folder)} has ${bavail * bsize} bytes left; the checkpoint takes ${bytes}`);
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config, null, 2));
  const row = randomHalves(2 * CHUNK);
  const weightMap: Record<string, string> = {};
  const paths = Array.from({ length: shards }, (_, i) => {
    const part = table.slice(Math.ceil((i * table.length) / shards), Math.ceil(((i + 1) * table.length) / shards));
    const number = (n: number): string => String(n).padStart(5, '0');
    const name = shards === 1 ? `${stem}.safetensors` : `${stem}-${number(i + 1)}-of-${number(shards)}.safetensors`;
    for (const parameter of part) weightMap[parameter.name] = name;
    writeFile(join(folder, name), part, row);
    return join(folder, name);
  });
  if (shards > 1) {
    const index = { metadata: { total_size: bytes }, weight_map: weightMap };
    writeFileSync(join(folder, `${stem}.safetensors.index.json`), JSON.stringify(index));
  }
  return { paths, bytes };
}

function writeFile(path: string, table: ParameterTable, row: Uint16Array): void {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const { name, shape } of [...table].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const end = offset + 2 * elements(shape);
    header[name] = { dtype: 'F16', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.length - 8));
  json.copy(padded, 8);

  const file = openSync(path, 'w');
  try {
    writeSync(file, padded);
    for (let done = 0, turn = 0; done < offset; turn++) {
      const start = (turn * 1_299_709) % CHUNK;
      const bytes = Math.min(2 * CHUNK, offset - done);
      done += writeSync(file, new Uint8Array(row.buffer, 2 * start, bytes));
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Writes a transformer of made-up weights as GGUF: matrices whose rows are whole blocks as Q4_0, all else as float16.
 * @returns size of the file
 */
export function writeGguf(path: string, config: { readonly _class_name: string }): number {
  const known = familyOf(config._class_name);
  const table = known.parameters(known.schema.parse(config));
  const tensors = table.map(({ name, shape, layout }): GgufTensor => {
    const isBlocks = layout === 'matrix' && shape[1]! % 32 === 0;
    return { name, shape, dtype: isBlocks ? 'Q4_0' : 'F16' };
  });
  const { header, offsets, bytes } = ggufHeader(tensors);
  const halves = Buffer.from(randomHalves(CHUNK).buffer);
  const blocks = randomBlocks(2 ** 19);
  const file = openSync(path, 'w');
  try {
    writeSync(file, header);
    for (const [i, { shape, dtype }] of tensors.entries()) {
      const row = dtype === 'Q4_0' ? blocks : halves;
      const end = storedBytes(dtype, elements(shape));
      for (let done = 0; done < end; ) {
        const length = Math.min(row.length, end - done);
        done += writeSync(file, row, 0, length, header.length + offsets[i]! + done);
      }
    }
    ftruncateSync(file, header.length + bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return header.length + bytes;
}

/** Blocks of Q4_0 with scales around 2⁻⁸. */
function randomBlocks(count: number): Buffer {
  const bytes = Buffer.from(randomHalves(9 * count).buffer, 0, 18 * count);
  for (let block = 0; block < count; block++) bytes.writeUInt16LE(0x1c00 | (block & 0x83ff), 18 * block);
  return bytes;
}

function randomHalves(count: number): Uint16Array {
  const halves = new Uint16Array(count);
  let state = 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    halves[i] = ((7 + ((state >>> 28) % 3)) << 10) | (state & 0x83ff);
  }
  return halves;
}
