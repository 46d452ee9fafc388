import type { Tensor } from '@tensorflow/tfjs-core';
import { UsageError } from '../../errors';
import { release } from '../../nn/scope';
import {
  type Copy,
  copyOf,
  type Embedding,
  type Embeddings,
  type EncodedTexts,
  type TextRequest,
  tensorOf,
} from '../../sampling/embeddings';
import type { PrepareOptions } from '../../sampling/pipeline';

/**
 * Host memory for embeddings. A command that draws many pictures encodes every prompt before the transformer is
 * loaded; a prompt of T5-XXL takes 8 MB.
 */
const REMEMBERED_BYTES = 4e9;

/** A text encoder's work, done once for each text, whatever others it is asked for with. */
export interface TextMemory {
  /** What was made of some texts, now or before; the caller's. */
  encode(request: TextRequest, options?: PrepareOptions): Promise<EncodedTexts>;
  /** Everything that is remembered, a text each, in the order in which it was made. */
  entries(): Embedding[];
}

/**
 * @param encode loads an encoder and runs it
 * @param given embeddings that take its place: what they do not hold is refused
 */
export function textMemory(encode: TextMemory['encode'], given?: Embeddings): TextMemory {
  const known = new Map((given?.entries ?? []).flatMap(rowsOf).map(row => [keyOf(row.request), row] as const));
  let bytes = 0;

  async function remember(request: TextRequest, options?: PrepareOptions): Promise<Embedding[]> {
    if (given) throw notHeld(given.where, [...known.values()], request);
    const fresh = await encode(request, options);
    const { states, pooled, ...rest } = fresh;
    const found = rowsOf({
      ...rest,
      request,
      states: await copyOf(states),
      ...(pooled && { pooled: await copyOf(pooled) }),
    });
    release(fresh);
    for (const row of found) {
      const key = keyOf(row.request);
      if (!known.has(key)) bytes += bytesOf(row);
      known.set(key, row);
    }
    for (const [key, oldest] of known) {
      if (bytes <= REMEMBERED_BYTES || found.includes(oldest)) break;
      known.delete(key);
      bytes -= bytesOf(oldest);
    }
    return found;
  }

  return {
    async encode(request, options) {
      const of = (text: string): TextRequest => ({ ...request, texts: [text] });
      const rows = new Map(request.texts.map(text => [text, known.get(keyOf(of(text)))]));
      const missing = [...rows.keys()].filter(text => !rows.get(text));
      if (missing.length > 0) {
        const made = await remember({ ...request, texts: missing }, options);
        for (const [i, text] of missing.entries()) rows.set(text, made[i]);
      }
      return joined(request.texts.map(text => rows.get(text) as Embedding));
    },
    entries: () => [...known.values()],
  };
}

/** An entry for each of the texts of one. */
function rowsOf({ request, ids, mask, states, pooled }: Embedding): Embedding[] {
  const rowOf = ({ values, shape: [count = 1, ...shape] }: Copy, row: number): Copy => {
    const size = values.length / count;
    return { values: values.slice(row * size, (row + 1) * size), shape: [1, ...shape] };
  };
  return request.texts.map((text, row) => ({
    request: { ...request, texts: [text] },
    ids: ids.slice(row, row + 1),
    mask: mask.slice(row, row + 1),
    states: rowOf(states, row),
    ...(pooled && { pooled: rowOf(pooled, row) }),
  }));
}

/** The entries of several texts as one; the tensors are the caller's. */
function joined(rows: readonly Embedding[]): EncodedTexts {
  const whole = (copies: readonly Copy[]): Tensor => {
    const [{ values, shape } = { values: new Float32Array(), shape: [0] }] = copies;
    const all = new Float32Array(copies.length * values.length);
    for (const [i, copy] of copies.entries()) all.set(copy.values, i * values.length);
    return tensorOf({ values: all, shape: [copies.length, ...shape.slice(1)] });
  };
  const pooled = rows.flatMap(row => row.pooled ?? []);
  return {
    ids: rows.flatMap(({ ids }) => ids),
    mask: rows.flatMap(({ mask }) => mask),
    states: whole(rows.map(({ states }) => states)),
    ...(pooled.length > 0 && { pooled: whole(pooled) }),
  };
}

const keyOf = ({ encoder, tokenizer, texts, length, masked = false }: TextRequest): string =>
  JSON.stringify([encoder, tokenizer, texts, length, masked]);

const bytesOf = ({ states, pooled }: Embedding): number =>
  states.values.byteLength + (pooled ? pooled.values.byteLength : 0);

/** @param held entries of one text each */
function notHeld(where: string, held: readonly Embedding[], { encoder, texts, length }: TextRequest): UsageError {
  const own = held.filter(({ request }) => request.encoder === encoder);
  const text = texts.map(t => `"${t}"`).join(', ');
  const same = own.find(({ request }) => JSON.stringify(request.texts) === JSON.stringify(texts));
  if (same) {
    return new UsageError(
      `${where} holds ${text} at ${same.request.length} tokens for ${encoder}, and ${length} are asked for.`,
      { hint: `Take maxSequenceLength ${same.request.length} (--max-sequence-length), or encode the prompt again.` },
    );
  }
  const names = [...new Set(own.flatMap(({ request }) => request.texts))].map(t => `"${t}"`);
  const shown = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
  return new UsageError(`${where} holds no embedding of ${text} by ${encoder}.`, {
    hint: `It holds ${shown || 'none'}; leave the embeddings away (--embeddings), or make others (--save-embeddings).`,
  });
}
