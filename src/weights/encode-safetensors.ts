import { ShapeError } from '../errors';
import { DTYPE_BYTES, type DType, elements, showShape } from './dtype';

/** A tensor to be written: `data` holds its little-endian bytes, whatever the view's class. */
export interface TensorToWrite {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
}

/**
 * The bytes of a safetensors file. Meant for small files: everything is in memory at once.
 * The order of `tensors` does not matter: the same tensors always give the same bytes.
 * @throws ShapeError when the data of a tensor has not the size that its shape and type need
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  // Wide types first, as the reference writer does, so that every tensor is aligned to its own element size.
  const sorted = [...tensors].sort(
    ([nameA, a], [nameB, b]) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (nameA < nameB ? -1 : 1),
  );
  const header = new Map<string, unknown>(metadata ? [['__metadata__', metadata]] : []);
  let offset = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    if (data.byteLength !== elements(shape) * DTYPE_BYTES[dtype]) {
      throw new ShapeError(
        `Tensor ${name} has ${data.byteLength} bytes, which do not fill ${dtype} ${showShape(shape)}.`,
      );
    }
    header.set(name, { dtype, shape, data_offsets: [offset, offset + data.byteLength] });
    offset += data.byteLength;
  }
  const json = new TextEncoder().encode(stringifyMap(header));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const out = new Uint8Array(8 + headerBytes + offset);
  new DataView(out.buffer).setBigUint64(0, BigInt(headerBytes), true);
  out.fill(0x20, 8, 8 + headerBytes).set(json, 8);
  let at = 8 + headerBytes;
  for (const [, { data }] of sorted) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return out;
}

/** JSON of an object with these keys in this order; a plain object would reorder keys that look like numbers. */
function stringifyMap(map: ReadonlyMap<string, unknown>): string {
  return `{${[...map].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
}
