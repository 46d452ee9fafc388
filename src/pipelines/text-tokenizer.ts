import type { TextRequest } from '../sampling/embeddings';
import { modelFiles } from '../text/tokenizers/files';
import { loadTokenizer } from '../text/tokenizers/load';
import type { Tokenizer } from '../text/tokenizers/tokenizer';
import type { OpenModel } from '../weights/open-model';

/** Tokens that CLIP was trained with, for tokenizers that do not say their length. */
const CLIP_LENGTH = 77;

/** The tokenizer that a request's texts go through, and the length that they are brought to. */
export type TextTokenizers = (
  request: TextRequest,
) => Promise<{ readonly tokenizer: Tokenizer; readonly length: number }>;

/** A model's tokenizers, each read once: UMT5's takes a second. @param opened lends the model, opened again */
export function textTokenizers(opened: <T>(work: (model: OpenModel) => Promise<T>) => Promise<T>): TextTokenizers {
  const loaded = new Map<string, Tokenizer>();
  return async request => {
    const tokenizer =
      loaded.get(request.tokenizer) ?? (await opened(model => loadTokenizer(modelFiles(model, request.tokenizer))));
    loaded.set(request.tokenizer, tokenizer);
    return { tokenizer, length: request.length ?? tokenizer.maxLength ?? CLIP_LENGTH };
  };
}
