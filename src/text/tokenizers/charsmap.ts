import { CheckpointError } from '../../errors';
import { MAX_CHARACTER, MAX_CHARSMAP } from './limits';

/** Longest grapheme, in bytes, that is looked up as a whole; longer ones are split. */
const WHOLE_BYTES = 5;

/** Bits of a unit of the double array. */
const LABEL = 0x800000ff;
const HAS_VALUE = 1 << 8;
const WIDE_OFFSET = 1 << 9;
const VALUE = 0x7fffffff;

/**
 * The normaliser of a sentencepiece model, from its compiled rules: the byte length of a double-array trie, the trie,
 * and the replacements that its values point to, each ended by a zero byte.
 *
 * The tokenizers library, whose ids the models were trained with, goes by graphemes. A short one is replaced whole by
 * what its shortest known beginning stands for, so that a second accent on a letter is dropped; the characters of a
 * long one are replaced one by one. The sentencepiece library itself takes the longest match at each place.
 */
export function charsmapNormalizer(rules: Uint8Array): (text: string) => string {
  const view = new DataView(rules.buffer, rules.byteOffset, rules.byteLength);
  const trieBytes = rules.length >= 4 ? view.getUint32(0, true) : 0;
  const isBroken = trieBytes === 0 || trieBytes % 4 !== 0 || 4 + trieBytes > rules.length;
  if (isBroken || rules.length > MAX_CHARSMAP) throw broken();
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = rules.subarray(4 + trieBytes);
  const encoder = new TextEncoder();
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

  const child = (at: number, unit: number): number => at ^ ((unit >>> 10) << ((unit & WIDE_OFFSET) >>> 6));

  /** Place in `replacements` for the shortest beginning of `bytes` that has one. */
  function find(bytes: Uint8Array): number | undefined {
    let at = child(0, units[0]!);
    for (const byte of bytes) {
      if (byte === 0) return undefined;
      at ^= byte;
      const unit = units[at] ?? 0;
      if ((unit & LABEL) >>> 0 !== byte) return undefined;
      at = child(at, unit);
      if (unit & HAS_VALUE) return (units[at] ?? 0) & VALUE;
    }
    return undefined;
  }

  function replaced(bytes: Uint8Array): string | undefined {
    const start = find(bytes);
    if (start === undefined) return undefined;
    const end = replacements.indexOf(0, start);
    const whole = replacements.subarray(start, end < 0 ? replacements.length : end);
    // Rules without an end would put all that follows them in the place of every character.
    if (whole.length > MAX_CHARACTER) throw broken();
    return decoder.decode(whole);
  }

  return text => {
    let out = '';
    for (const { segment } of graphemes.segment(text)) {
      const bytes = encoder.encode(segment);
      const whole = bytes.length <= WHOLE_BYTES ? replaced(bytes) : undefined;
      if (whole !== undefined) out += whole;
      else for (const character of segment) out += replaced(encoder.encode(character)) ?? character;
    }
    return out;
  };
}

function broken(): CheckpointError {
  return new CheckpointError('config_json', 'The character rules of the tokenizer are broken.', {
    hint: 'Take the tokenizer from its repository again.',
  });
}
