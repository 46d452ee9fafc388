import { UsageError } from '../errors';

/**
 * Characters of a prompt. The text encoders read 512 tokens, some 2,500 characters; this many are cut within a moment,
 * also by rules whose work grows with the square of the length.
 */
export const MAX_PROMPT = 10_000;

/** @throws UsageError for a text that is no prompt */
export function requirePromptLength(text: string): void {
  if (text.length <= MAX_PROMPT) return;
  throw new UsageError(`A prompt of ${text.length} characters was given, and at most ${MAX_PROMPT} are taken.`, {
    hint: 'Text encoders read a few hundred words: shorten the prompt.',
  });
}
