import type { TextRequest } from '../sampling/embeddings';
import type { TextLoss } from '../sampling/pipeline';
import type { TextTokenizers } from './text-tokenizer';

/** What the text encoders of a model will not read of some texts. No encoder is loaded. @param files those of the model */
export async function textLosses(
  files: readonly string[],
  requests: readonly TextRequest[],
  tokenizers: TextTokenizers,
): Promise<TextLoss[]> {
  const losses: TextLoss[] = [];
  for (const request of requests) {
    // A folder that is run from kept embeddings may have no tokenizer: what they lack was said when they were made.
    if (!files.some(file => file.startsWith(`${request.tokenizer}/`))) continue;
    const { tokenizer, length } = await tokenizers(request);
    for (const prompt of new Set(request.texts)) {
      const { unknown, dropped } = tokenizer.lost(prompt, length);
      if (unknown.length === 0 && dropped === '') continue;
      losses.push({ encoder: request.encoder, prompt, unknown, dropped, limit: { count: length, unit: 'tokens' } });
    }
  }
  return losses;
}
