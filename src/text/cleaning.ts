/*
 * What the pipelines do to a prompt before it is tokenized. FLUX and CogVideoX take it as it is.
 */
import { cleanCaption } from './caption';
import { fixText } from './fix-text';
import { unescapeHtml } from './html';
import { singleSpaces, strip } from './patterns';
import { requirePromptLength } from './prompt-length';

export interface CleaningOptions {
  /** Repairs damaged text first, as the pipelines do where ftfy is installed. On by default. */
  readonly fix?: boolean | undefined;
}

/** Damaged text repaired, HTML references resolved twice, for those that were escaped twice. */
function basic(text: string, { fix = true }: CleaningOptions): string {
  return strip(unescapeHtml(unescapeHtml(fix ? fixText(text) : text)));
}

/** A prompt as Wan takes it: repaired, with single spaces. */
export function cleanWanPrompt(prompt: string, options: CleaningOptions = {}): string {
  requirePromptLength(prompt);
  return strip(singleSpaces(basic(prompt, options)));
}

/** A prompt as Open-Sora takes it: twice through the caption rules, the second time for what the first brought up. */
export function cleanOpenSoraPrompt(prompt: string, options: CleaningOptions = {}): string {
  requirePromptLength(prompt);
  const once = (text: string): string => cleanCaption(text, t => basic(t, options));
  return once(once(prompt));
}
