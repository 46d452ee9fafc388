import { UsageError } from '../errors';
import { readText } from '../io/node-file';

/** The prompts of a file: one a line, empty lines and those that begin with # left out. */
export async function promptLines(path: string): Promise<string[]> {
  const lines = (await readText(path)).split(/\r?\n/).map(line => line.trim());
  const prompts = lines.filter(line => line !== '' && !line.startsWith('#'));
  if (prompts.length > 0) return prompts;
  throw new UsageError(`${path} holds no prompts.`, { hint: 'Write one prompt a line.' });
}
