import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Files that a pipeline needs besides its weights. A list of names, so that nothing else is ever copied. */
const NAMES: ReadonlySet<string> = new Set([
  'model_index.json',
  'pipeline.json',
  'prompts.json',
  'scheduler_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'spiece.model',
]);

/** Paths, relative and with forward slashes, of the small files of a pipeline: in its folder and one level below. */
export async function findAttachments(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (NAMES.has(entry.name)) found.push(entry.name);
    if (!entry.isDirectory()) continue;
    const inner = await readdir(join(folder, entry.name));
    found.push(...inner.filter(name => NAMES.has(name)).map(name => `${entry.name}/${name}`));
  }
  return found.sort();
}
