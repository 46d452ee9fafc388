import { nextTurn } from '../io/turn';
import type { BatchRequest, Pipeline } from '../sampling/pipeline';
import { progressLine } from './progress';
import { lossNote } from './sample/notes';
import { tell } from './say';

/**
 * Runs the text encoders on all prompts while the transformer is not loaded yet, and says, once a prompt, what they do
 * not read of it.
 */
export async function encodeAhead(
  pipeline: Pipeline,
  requests: readonly BatchRequest[],
  signal: AbortSignal,
): Promise<void> {
  const said = new Set<string>();
  for (const request of requests) {
    for (const loss of await pipeline.textLoss(request)) {
      const note = lossNote(pipeline.info, loss);
      if (!said.has(note)) tell(note);
      said.add(note);
    }
  }
  if (!pipeline.encodePrompts) return;
  const line = progressLine('encoding prompts', requests.length);
  try {
    for (const [i, request] of requests.entries()) {
      await nextTurn(signal);
      await pipeline.encodePrompts(request, { signal });
      line.update(i + 1);
    }
  } finally {
    line.stop();
  }
}

/** One request for every prompt, and every negative prompt, that `pairs` have. */
export function promptRequests(
  pairs: readonly { readonly prompt: string; readonly negative?: string | undefined }[],
  run: { readonly steps: number; readonly guidance: number },
): BatchRequest[] {
  const alone = [...new Set(pairs.flatMap(p => [p.prompt, ...(p.negative === undefined ? [] : [p.negative])]))];
  return alone.map(prompt => ({ prompts: [prompt], seeds: [0], ...run }));
}
