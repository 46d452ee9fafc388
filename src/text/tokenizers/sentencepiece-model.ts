import { CheckpointError, UnsupportedError } from '../../errors';
import { MAX_TOKEN_LENGTH, MAX_TOKENS } from './limits';
import { type Field, readFields } from './protobuf';

/** What kind of piece an entry of the vocabulary is; others are ordinary. */
const KINDS = { unknown: 2, control: 3, userDefined: 4 } as const;
const UNIGRAM = 1;

/** What ertacache takes from a sentencepiece model (`spiece.model`). */
export interface SentencePieceModel {
  readonly pieces: readonly (readonly [piece: string, score: number])[];
  /** Ids of pieces that text is not cut into: padding, end of text, unknown. */
  readonly specialIds: readonly number[];
  /** Ids of pieces that are always kept whole. */
  readonly userDefinedIds: readonly number[];
  readonly unknownId: number;
  readonly byteFallback: boolean;
  /** Compiled character rules; empty when text is taken as it is. */
  readonly charsmap: Uint8Array;
  /** Puts a space before the text, so that a word is cut alike wherever it stands. */
  readonly addDummyPrefix: boolean;
}

/**
 * Reads a sentencepiece model: a protobuf message of pieces (field 1), how it was trained (2) and its normaliser (3).
 * @param file its name, for errors
 * @throws CheckpointError when it is not one, UnsupportedError when it is not a unigram model
 */
export function readSentencePieceModel(bytes: Uint8Array, file: string): SentencePieceModel {
  try {
    return parse(readFields(bytes), file);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new CheckpointError('config_json', `${file} is not a sentencepiece model: ${cause.message}.`, {
      hint: 'Take it from the repository that the text encoder is from; a pointer of git-lfs is not the file.',
      cause,
    });
  }
}

function parse(model: readonly Field[], file: string): SentencePieceModel {
  const pieces: [string, number][] = [];
  const kinds: number[] = [];
  const entries = model.filter(field => field.number === 1);
  if (entries.length > MAX_TOKENS) throw new RangeError('more pieces than any model has');
  for (const { bytes } of entries) {
    const fields = readFields(bytes ?? new Uint8Array());
    const [piece, score] = [text(last(fields, 1)), float(last(fields, 2))];
    if (piece.length === 0 || piece.length > MAX_TOKEN_LENGTH) throw new RangeError('a piece of an impossible length');
    if (!Number.isFinite(score)) throw new RangeError('a piece without a probability');
    pieces.push([piece, score]);
    kinds.push(last(fields, 3)?.value ?? 1);
  }
  const trainer = readFields(last(model, 2)?.bytes ?? new Uint8Array());
  const normalizer = readFields(last(model, 3)?.bytes ?? new Uint8Array());
  if (pieces.length === 0) throw new RangeError('no pieces');
  if ((last(trainer, 3)?.value ?? UNIGRAM) !== UNIGRAM) {
    throw new UnsupportedError(`${file} is a sentencepiece model, but not a unigram model.`, {
      hint: 'T5 and UMT5 have unigram models; ertacache reads no other.',
    });
  }
  const ofKind = (...wanted: number[]): number[] => kinds.flatMap((kind, id) => (wanted.includes(kind) ? [id] : []));
  const unknownId = last(trainer, 40)?.value ?? 0;
  if (unknownId >= pieces.length) throw new RangeError('no piece for what is unknown');
  return {
    pieces,
    specialIds: ofKind(KINDS.unknown, KINDS.control),
    userDefinedIds: ofKind(KINDS.userDefined),
    unknownId,
    byteFallback: last(trainer, 35)?.value === 1,
    charsmap: last(normalizer, 2)?.bytes ?? new Uint8Array(),
    addDummyPrefix: last(normalizer, 3)?.value !== 0,
  };
}

/** A field that is given twice counts as given last. */
function last(fields: readonly Field[], number: number): Field | undefined {
  return fields.filter(field => field.number === number).at(-1);
}

function text(field: Field | undefined): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(field?.bytes);
}

function float(field: Field | undefined): number {
  if (field?.bytes?.length !== 4) return 0;
  return new DataView(field.bytes.buffer, field.bytes.byteOffset, 4).getFloat32(0, true);
}
