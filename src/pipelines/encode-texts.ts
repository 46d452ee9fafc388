import { loadTextEncoder } from '../models/text/load';
import type { EncodedTexts, TextRequest } from '../sampling/embeddings';
import type { PrepareOptions } from '../sampling/pipeline';
import { componentOf, type OpenModel } from '../weights/open-model';
import { streamedStore } from '../weights/streamed-store';
import type { TextTokenizers } from './text-tokenizer';

/**
 * Loads a text encoder, runs it, and releases it before returning. Its layers are read one at a time, so that the
 * largest needs the memory of one.
 */
export async function encodeTexts(
  model: OpenModel,
  request: TextRequest,
  tokenizers: TextTokenizers,
  { signal }: PrepareOptions = {},
): Promise<EncodedTexts> {
  const component = componentOf(model, request.encoder);
  const { tokenizer, length } = await tokenizers(request);
  const padded = request.texts.map(text => tokenizer.pad(text, length));
  const [ids, mask] = [padded.map(p => p.ids), padded.map(p => p.mask)];
  const { encoder, dispose } = await loadTextEncoder(component, streamedStore);
  try {
    const { lastHiddenState: states, pooled } = await encoder.encode(ids, { ...(request.masked && { mask }), signal });
    return { ids, mask, states, ...(pooled && { pooled }) };
  } finally {
    dispose();
  }
}
