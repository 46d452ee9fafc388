import { type BlockType, GGUF_BLOCKS } from './stored-type';
import { float16Values } from './widen';

/** Decodes the block at `at` to `out` from `to` on. */
type Decode = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

/**
 * Float32 values of whole blocks of a quantised type of GGUF. Products of scales and codes are exact in a double and
 * rounded once, when they are stored.
 * @param bytes as in the file
 * @returns the values, as ggml's reference decodes them
 */
export function dequantise(bytes: Uint8Array, type: BlockType): Float32Array<ArrayBuffer> {
  const { elements, bytes: width } = GGUF_BLOCKS[type];
  const count = bytes.length / width;
  const out = new Float32Array(count * elements);
  const decode = DECODERS[type];
  for (let block = 0; block < count; block++) decode(bytes, block * width, out, block * elements);
  return out;
}

let halves: Float32Array | undefined;

/** The float16 at a place. */
function half(bytes: Uint8Array, at: number): number {
  halves ??= float16Values();
  return halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

/** Adding this changes no number, not even the sign of a zero. */
const NOTHING = -0;

/** Blocks of 32 codes: low nibbles are the first 16 elements, high nibbles the last. */
const nibbles =
  (codes: number, offset: number, hasMinimum: boolean): Decode =>
  (bytes, at, out, to) => {
    const scale = half(bytes, at);
    const minimum = hasMinimum ? half(bytes, at + 2) : NOTHING;
    for (let i = 0; i < 16; i++) {
      const code = bytes[at + codes + i]!;
      out[to + i] = scale * ((code & 15) + offset) + minimum;
      out[to + 16 + i] = scale * ((code >> 4) + offset) + minimum;
    }
  };

/** The same with a fifth bit of every code, in a word before them. */
const fiveBits =
  (high: number, offset: number, hasMinimum: boolean): Decode =>
  (bytes, at, out, to) => {
    const scale = half(bytes, at);
    const minimum = hasMinimum ? half(bytes, at + 2) : NOTHING;
    const word = at + high;
    const fifth = bytes[word]! | (bytes[word + 1]! << 8) | (bytes[word + 2]! << 16) | (bytes[word + 3]! << 24);
    for (let i = 0; i < 16; i++) {
      const code = bytes[word + 4 + i]!;
      out[to + i] = scale * (((code & 15) | (((fifth >>> i) & 1) << 4)) + offset) + minimum;
      out[to + 16 + i] = scale * (((code >> 4) | (((fifth >>> (i + 16)) & 1) << 4)) + offset) + minimum;
    }
  };

const q8: Decode = (bytes, at, out, to) => {
  const scale = half(bytes, at);
  for (let i = 0; i < 32; i++) out[to + i] = scale * ((bytes[at + 2 + i]! << 24) >> 24);
};

/** 16 groups of 16 codes of two bits, each with a scale and a minimum of four bits. */
const q2k: Decode = (bytes, at, out, to) => {
  const scale = half(bytes, at + 80);
  const minimum = half(bytes, at + 82);
  for (let group = 0; group < 16; group++) {
    const of = bytes[at + group]!;
    const [d, m] = [scale * (of & 15), minimum * (of >> 4)];
    const codes = at + 16 + (group >> 3) * 32 + (group & 1) * 16;
    const shift = group & 6;
    const from = to + group * 16;
    for (let i = 0; i < 16; i++) out[from + i] = d * ((bytes[codes + i]! >> shift) & 3) - m;
  }
};

/** 16 groups of 16 codes of three bits, the highest of them apart and inverted, with scales of six bits. */
const q3k: Decode = (bytes, at, out, to) => {
  const scale = half(bytes, at + 108);
  for (let group = 0; group < 16; group++) {
    const low = bytes[at + 96 + (group & 7)]!;
    const high = (bytes[at + 104 + (group & 3)]! >> ((group >> 2) * 2)) & 3;
    const d = scale * (((group < 8 ? low & 15 : low >> 4) | (high << 4)) - 32);
    const codes = at + 32 + (group >> 3) * 32 + (group & 1) * 16;
    const masks = at + (group & 1) * 16;
    const shift = group & 6;
    const bit = group >> 1;
    const from = to + group * 16;
    for (let i = 0; i < 16; i++) {
      const isHigh = (bytes[masks + i]! >> bit) & 1;
      out[from + i] = d * (((bytes[codes + i]! >> shift) & 3) - (isHigh ? 0 : 4));
    }
  }
};

/** Scale and minimum, six bits each, of one of eight groups; 12 bytes hold them all. */
const sixBitScale = (bytes: Uint8Array, at: number, group: number): number =>
  group < 4 ? bytes[at + group]! & 63 : (bytes[at + group + 4]! & 15) | ((bytes[at + group - 4]! >> 6) << 4);
const sixBitMinimum = (bytes: Uint8Array, at: number, group: number): number =>
  group < 4 ? bytes[at + group + 4]! & 63 : (bytes[at + group + 4]! >> 4) | ((bytes[at + group]! >> 6) << 4);

/** Eight groups of 32 codes of four bits, or of five with the highest apart. */
const groups =
  (codes: number, high?: number): Decode =>
  (bytes, at, out, to) => {
    const scale = half(bytes, at);
    const minimum = half(bytes, at + 2);
    for (let group = 0; group < 8; group++) {
      const d = scale * sixBitScale(bytes, at + 4, group);
      const m = minimum * sixBitMinimum(bytes, at + 4, group);
      const low = at + codes + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      const from = to + group * 32;
      if (high === undefined) {
        for (let i = 0; i < 32; i++) out[from + i] = d * ((bytes[low + i]! >> shift) & 15) - m;
        continue;
      }
      for (let i = 0; i < 32; i++) {
        const fifth = ((bytes[at + high + i]! >> group) & 1) << 4;
        out[from + i] = d * (((bytes[low + i]! >> shift) & 15) | fifth) - m;
      }
    }
  };

/** 16 groups of 16 codes of six bits, the highest two apart, with scales of a signed byte. */
const q6k: Decode = (bytes, at, out, to) => {
  const scale = half(bytes, at + 208);
  for (let group = 0; group < 16; group++) {
    const d = scale * ((bytes[at + 192 + group]! << 24) >> 24);
    const side = group >> 3;
    const quarter = (group >> 1) & 3;
    const within = (group & 1) * 16;
    const low = at + side * 64 + (quarter & 1) * 32 + within;
    const shift = (quarter >> 1) * 4;
    const high = at + 128 + side * 32 + within;
    const highShift = quarter * 2;
    const from = to + group * 16;
    for (let i = 0; i < 16; i++) {
      const code = ((bytes[low + i]! >> shift) & 15) | (((bytes[high + i]! >> highShift) & 3) << 4);
      out[from + i] = d * (code - 32);
    }
  }
};

const DECODERS: Readonly<Record<BlockType, Decode>> = {
  Q4_0: nibbles(2, -8, false),
  Q4_1: nibbles(4, 0, true),
  Q5_0: fiveBits(2, -16, false),
  Q5_1: fiveBits(4, 0, true),
  Q8_0: q8,
  Q2_K: q2k,
  Q3_K: q3k,
  Q4_K: groups(16),
  Q5_K: groups(48, 16),
  Q6_K: q6k,
};
