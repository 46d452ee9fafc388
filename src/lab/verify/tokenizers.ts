import { join } from 'node:path';
import { diskFolder } from '../../io/disk-folder';
import { folderFiles } from '../../text/tokenizers/files';
import { loadTokenizer } from '../../text/tokenizers/load';
import type { CaseRunner } from './golden-case';
import {
  codePoints,
  paddedLengths,
  promptOutput,
  readTokenizerCases,
  TOKENIZER_WAYS,
  tokenizerWays,
} from './prompt-cases';

/** Runs a case of the group `tokenizers`: every prompt, with the tokenizer read in every way that its files allow. */
export const runTokenizer: CaseRunner = async (golden, produce) => {
  const cases = await readTokenizerCases(golden.folder);
  const files = await folderFiles(diskFolder(join(golden.folder, 'tokenizer')));
  const essential = Object.values(TOKENIZER_WAYS).flat() as string[];
  for (const way of await tokenizerWays(golden.folder)) {
    const own = TOKENIZER_WAYS[way] as readonly string[];
    const has = (name: string): boolean => files.has(name) && (own.includes(name) || !essential.includes(name));
    const tokenizer = await loadTokenizer({ ...files, has });
    cases.forEach((c, i) => {
      const ids = tokenizer.encode(c.text);
      const pieces = ids.slice(0, c.tokens.length).map(tokenizer.piece);
      produce(promptOutput(i, `${way}.ids`), ids);
      produce(promptOutput(i, `${way}.tokens`), codePoints(pieces.join('\n')));
      for (const length of paddedLengths(c)) {
        const padded = tokenizer.pad(c.text, length);
        produce(promptOutput(i, `${way}.padded_${length}`), [...padded.ids, ...padded.mask]);
      }
    });
  }
};
