/** One field of a protobuf message: a number, or bytes (text, a nested message, a fixed-width number). */
export interface Field {
  readonly number: number;
  readonly value?: number;
  readonly bytes?: Uint8Array;
}

/** Fields of a message: more than any vocabulary has, few enough to be held. */
const MAX_FIELDS = 600_000;

const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/**
 * The fields of a protobuf message, in order, without a schema. Numbers are taken as far as 53 bits.
 * @throws RangeError when the bytes are not a message
 */
export function readFields(message: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;

  function varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      if (byte === undefined || scale > 2 ** 63) throw new RangeError('a number without an end');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  function take(count: number): Uint8Array {
    if (count > message.length - at) throw new RangeError('a field that is longer than its message');
    at += count;
    return message.subarray(at - count, at);
  }

  while (at < message.length) {
    if (fields.length === MAX_FIELDS) throw new RangeError('more fields than any message of its kind');
    const key = varint();
    const number = Math.floor(key / 8);
    const wire = key % 8;
    if (number === 0) throw new RangeError('a field without a number');
    if (wire === WIRE.varint) fields.push({ number, value: varint() });
    else if (wire === WIRE.bytes) fields.push({ number, bytes: take(varint()) });
    else if (wire === WIRE.fixed32) fields.push({ number, bytes: take(4) });
    else if (wire === WIRE.fixed64) fields.push({ number, bytes: take(8) });
    else throw new RangeError(`a field of the unknown kind ${wire}`);
  }
  return fields;
}
