import { UsageError } from '../errors';
import { readText } from '../io/node-file';
import type { PipelineInfo } from '../sampling/pipeline';
import { MAX_PROMPT } from '../text/prompt-length';
import { stripEnd, stripStart } from '../text/unicode';
import { tell } from './say';

/** Prompts, and pictures, that one command takes on. */
export const MAX_PROMPTS = 10_000;

/**
 * The prompts of a file: one a line. Empty lines are left out, and those that begin with `#`, which are comments; `\#`
 * begins a prompt with that sign.
 * @throws UsageError naming the line that cannot be a prompt
 */
export async function promptLines(path: string): Promise<string[]> {
  return promptsIn(await readText(path), path, tell);
}

/**
 * The prompts of a file, or those that the model lists where none is given.
 * @throws UsageError for a model that lists none
 */
export async function promptsFor(
  model: Pick<PipelineInfo, 'id' | 'prompts'>,
  path?: string,
): Promise<readonly string[]> {
  const prompts = path === undefined ? model.prompts : await promptLines(path);
  if (prompts.length > 0) return prompts;
  throw new UsageError(`${model.id} lists no prompts of its own.`, {
    hint: 'Give a file with at least two of them as --prompts.',
  });
}

/**
 * The prompts in the text of a file.
 * @param path how messages call the file
 * @param say takes what should be told about lines that may be mistakes
 * @throws UsageError naming the line that cannot be a prompt
 */
export function promptsIn(text: string, path: string, say: (note: string) => void): string[] {
  const prompts: string[] = [];
  for (const [i, whole] of text.split(/\r\n|\r|\n/).entries()) {
    const line = stripEnd(stripStart(whole));
    if (line === '') continue;
    if (line.startsWith('#')) {
      // "# a list" is meant as a comment; "#1 dad mug" may not be.
      if (/^#[^\s#]/.test(line)) say(`${path}, line ${i + 1}: left out as a comment; \\# begins a prompt with #.\n`);
      continue;
    }
    requirePrompt(line, `${path}, line ${i + 1}`);
    prompts.push(line.replace(/^\\(\\*#)/, '$1'));
    if (prompts.length > MAX_PROMPTS) {
      throw new UsageError(`${path} holds more than ${MAX_PROMPTS} prompts.`, { hint: 'Split the file.' });
    }
  }
  if (prompts.length > 0) return prompts;
  throw new UsageError(`${path} holds no prompts.`, {
    hint: 'Write one prompt a line; a line that begins with # is a comment.',
  });
}

function requirePrompt(line: string, where: string): void {
  if (line.includes('\0')) {
    throw new UsageError(`${where}: holds a NUL character, so it is no text.`, { hint: 'Save the file as UTF-8.' });
  }
  if (line.length > MAX_PROMPT) {
    throw new UsageError(`${where}: has ${line.length} characters, and a prompt at most ${MAX_PROMPT}.`, {
      hint: 'Write one prompt a line. Text encoders read a few hundred words.',
    });
  }
}
