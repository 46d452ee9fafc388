import { join } from 'node:path';
import { z } from 'zod';
import { CheckpointError } from '../../errors';
import { isFile, readText } from '../../io/node-file';
import type { GoldenTensor } from './golden-case';

/*
 * Cases of prompts come as `cases.json`, not as tensors. Each prompt gives a few expected outputs, named by its place
 * in the list (`07.ids`); text is compared as its code points.
 */

const ids = z.array(z.int());
const padded = z.object({ input_ids: ids, attention_mask: ids });

/** A prompt and what a tokenizer makes of it. CLIP's are padded to one length, T5's to several. */
const tokenizerCase = z.object({
  text: z.string(),
  untruncated_ids: ids,
  /** The first pieces only, where there are many. */
  tokens: z.array(z.string()),
  ...padded.partial().shape,
  padded: z.record(z.string(), padded).optional(),
});
export type TokenizerCase = z.infer<typeof tokenizerCase>;

/** A prompt and what the pipelines clean it to. */
const cleaningCase = z.object({
  text: z.string(),
  wan: z.string(),
  opensora: z.string(),
  wan_without_ftfy: z.string(),
  opensora_without_ftfy: z.string(),
});
export type CleaningCase = z.infer<typeof cleaningCase>;

export function readTokenizerCases(folder: string): Promise<TokenizerCase[]> {
  return readCases(folder, tokenizerCase);
}

export function readCleaningCases(folder: string): Promise<CleaningCase[]> {
  return readCases(folder, cleaningCase);
}

/** Lengths that a prompt of a case is brought to. */
export function paddedLengths({ input_ids, padded: others = {} }: TokenizerCase): number[] {
  return [...(input_ids ? [input_ids.length] : []), ...Object.keys(others).map(Number)];
}

/** `07.ids`: the output of one prompt of a case. */
export function promptOutput(index: number, what: string): string {
  return `${String(index).padStart(2, '0')}.${what}`;
}

/** Text as a tensor. Pieces are kept apart by a line break. */
export function codePoints(text: string): number[] {
  return Array.from(text, character => character.codePointAt(0) as number);
}

/** What `cases.json` expects; undefined for kinds of cases that have none. */
export async function expectedOfPrompts(
  group: string,
  folder: string,
): Promise<ReadonlyMap<string, GoldenTensor> | undefined> {
  const expected = new Map<string, GoldenTensor>();
  const expect = (index: number, what: string, values: readonly number[]): void => {
    expected.set(promptOutput(index, what), { shape: [values.length], data: Int32Array.from(values) });
  };
  if (group === 'tokenizers') {
    const cases = await readTokenizerCases(folder);
    for (const way of await tokenizerWays(folder)) {
      cases.forEach((c, i) => {
        expect(i, `${way}.ids`, c.untruncated_ids);
        expect(i, `${way}.tokens`, codePoints(c.tokens.join('\n')));
        for (const length of paddedLengths(c)) {
          const wanted = c.padded?.[length] ?? c;
          expect(i, `${way}.padded_${length}`, [...(wanted.input_ids ?? []), ...(wanted.attention_mask ?? [])]);
        }
      });
    }
    return expected;
  }
  if (group === 'text-cleaning') {
    for (const [i, { text: _, ...cleaned }] of (await readCleaningCases(folder)).entries()) {
      for (const [what, result] of Object.entries(cleaned)) expect(i, what, codePoints(result));
    }
    return expected;
  }
  return undefined;
}

/** The files that can make up the tokenizer of a case: repositories hold one of them, or several. */
export const TOKENIZER_WAYS = {
  json: ['tokenizer.json'],
  spiece: ['spiece.model'],
  vocab: ['vocab.json', 'merges.txt'],
} as const;
export type TokenizerWay = keyof typeof TOKENIZER_WAYS;

/** The ways in which the tokenizer of a case can be read. */
export async function tokenizerWays(folder: string): Promise<TokenizerWay[]> {
  const ways: TokenizerWay[] = [];
  for (const way of Object.keys(TOKENIZER_WAYS) as TokenizerWay[]) {
    const found = await Promise.all(TOKENIZER_WAYS[way].map(name => isFile(join(folder, 'tokenizer', name))));
    if (found.every(Boolean)) ways.push(way);
  }
  return ways;
}

async function readCases<T>(folder: string, schema: z.ZodType<T>): Promise<T[]> {
  const path = join(folder, 'cases.json');
  const parsed = z.object({ cases: z.array(schema) }).safeParse(JSON.parse(await readText(path)));
  if (parsed.success) return parsed.data.cases;
  throw new CheckpointError('config_json', `${path} is not a list of golden prompts.`, { cause: parsed.error });
}
