import { UsageError } from '../../errors';
import { release } from '../../nn/scope';
import {
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

/** A text encoder's work, done once for each set of texts. */
export interface TextMemory {
  /** What was made of some texts, now or before; the caller's. */
  encode(request: TextRequest, options?: PrepareOptions): Promise<EncodedTexts>;
  /** Everything that is remembered, in the order in which it was made. */
  entries(): Embedding[];
}

/**
 * @param encode loads an encoder and runs it
 * @param given embeddings that take its place: what they do not hold is refused
 */
export function textMemory(encode: TextMemory['encode'], given?: Embeddings): TextMemory {
  const known = new Map<string, Embedding>((given?.entries ?? []).map(entry => [keyOf(entry.request), entry]));
  let bytes = 0;

  async function remember(request: TextRequest, options?: PrepareOptions): Promise<Embedding> {
    if (given) throw notHeld(given, request);
    const fresh = await encode(request, options);
    const { states, pooled, ...rest } = fresh;
    const found = {
      ...rest,
      request,
      states: await copyOf(states),
      ...(pooled && { pooled: await copyOf(pooled) }),
    };
    release(fresh);
    known.set(keyOf(request), found);
    bytes += bytesOf(found);
    for (const [key, oldest] of known) {
      if (bytes <= REMEMBERED_BYTES || oldest === found) break;
      known.delete(key);
      bytes -= bytesOf(oldest);
    }
    return found;
  }

  return {
    async encode(request, options) {
      const { states, pooled, ids, mask } = known.get(keyOf(request)) ?? (await remember(request, options));
      return { ids, mask, states: tensorOf(states), ...(pooled && { pooled: tensorOf(pooled) }) };
    },
    entries: () => [...known.values()],
  };
}

const keyOf = ({ encoder, tokenizer, texts, length, masked = false }: TextRequest): string =>
  JSON.stringify([encoder, tokenizer, texts, length, masked]);

const bytesOf = ({ states, pooled }: Embedding): number =>
  states.values.byteLength + (pooled ? pooled.values.byteLength : 0);

function notHeld({ where, entries }: Embeddings, { encoder, texts, length }: TextRequest): UsageError {
  const own = entries.filter(({ request }) => request.encoder === encoder);
  const text = texts.map(t => `"${t}"`).join(', ');
  const same = own.find(({ request }) => JSON.stringify(request.texts) === JSON.stringify(texts));
  if (same) {
    return new UsageError(
      `${where} holds ${text} at ${same.request.length} tokens for ${encoder}, and ${length} are asked for.`,
      { hint: `Take maxSequenceLength ${same.request.length} (--max-sequence-length), or encode the prompt again.` },
    );
  }
  const held = [...new Set(own.flatMap(({ request }) => request.texts))].map(t => `"${t}"`);
  const shown = held.length > 5 ? `${held.slice(0, 5).join(', ')} and ${held.length - 5} more` : held.join(', ');
  return new UsageError(`${where} holds no embedding of ${text} by ${encoder}.`, {
    hint: `It holds ${shown || 'none'}; leave the embeddings away (--embeddings), or make others (--save-embeddings).`,
  });
}
