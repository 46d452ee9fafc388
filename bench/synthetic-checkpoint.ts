import { closeSync, fsyncSync, openSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { modelClass } from '../src/models/registry';
import { elements } from '../src/weights/dtype';

/** Values that are written at a time. */
const CHUNK = 2 ** 23;

/**
 * Writes a model folder of made-up float16 weights, at the speed of the disk: numbers between 2⁻⁸ and 2⁻⁵ of both
 * signs, of which each chunk takes another stretch of a long random row.
 * @returns the path and size of the weight file
 */
export function writeCheckpoint(
  folder: string,
  config: { readonly _class_name: string },
): { path: string; bytes: number } {
  const known = modelClass(config._class_name);
  const table = known.parameters(known.schema.parse(config));
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const { name, shape } of [...table].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const end = offset + 2 * elements(shape);
    header[name] = { dtype: 'F16', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < 1.05 * offset) {
    throw new Error(`${dirname(folder)} has ${bavail * bsize} bytes left; the checkpoint takes ${offset}`);
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.length - 8));
  json.copy(padded, 8);

  writeFileSync(join(folder, 'config.json'), JSON.stringify(config, null, 2));
  const path = join(folder, 'diffusion_pytorch_model.safetensors');
  const file = openSync(path, 'w');
  try {
    writeSync(file, padded);
    const row = randomHalves(2 * CHUNK);
    for (let done = 0, turn = 0; done < offset; turn++) {
      const start = (turn * 1_299_709) % CHUNK;
      const bytes = Math.min(2 * CHUNK, offset - done);
      done += writeSync(file, new Uint8Array(row.buffer, 2 * start, bytes));
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return { path, bytes: padded.length + offset };
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
