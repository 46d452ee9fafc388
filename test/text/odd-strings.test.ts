import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { diskFolder } from '../../src/io/disk-folder';
import { fixText } from '../../src/text/fix-text';
import { DIGIT, EDGE, IN_WORD, lower, singleSpaces, strip } from '../../src/text/patterns';
import { folderFiles } from '../../src/text/tokenizers/files';
import { loadTokenizer } from '../../src/text/tokenizers/load';

const FIXTURES = join(__dirname, '..', 'fixtures');

/** Strings on which JavaScript's own conveniences and the references part ways, and what the references make of them. */
const odd = JSON.parse(readFileSync(join(FIXTURES, 'text', 'odd-strings.json'), 'utf8')) as {
  readonly strings: readonly string[];
  readonly ids: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly python: Readonly<Record<string, readonly unknown[]>>;
  readonly ftfy: readonly string[];
};

/** Characters that were added lately. Each release of Python has the tables of its year, so there is no one answer. */
const NEW = /[\u088f\u0c5c\ua7ce\u{10940}\u{11de0}\u{323b0}]/u;

/** Those of the strings that come out otherwise. @param left strings that are left out */
function wrong(make: (text: string) => unknown, expected: readonly unknown[] | undefined, left = /^\b$/): unknown[] {
  return odd.strings.flatMap((text, i) => {
    if (left.test(text)) return [];
    const [made, wanted] = [JSON.stringify(make(text)), JSON.stringify(expected?.[i])];
    return made === wanted ? [] : [{ text: JSON.stringify(text), made, wanted }];
  });
}

test.each(Object.keys(odd.ids))('%s: the ids of odd strings', async name => {
  const folder = diskFolder(join(FIXTURES, 'tokenizers', name, 'tokenizer'));
  const tokenizer = await loadTokenizer(await folderFiles(folder));
  expect(wrong(text => tokenizer.encode(text), odd.ids[name])).toEqual([]);
  expect(odd.strings.length).toBeGreaterThan(400);
});

/** Where a string has its code points, as Python counts them. */
const codePoint = (text: string, unit: number): number => Array.from(text.slice(0, unit)).length;
const all = (pattern: string) => (text: string) => text.match(new RegExp(pattern, 'gu')) ?? [];

test.each<[string, (text: string) => unknown]>([
  ['strip', strip],
  ['single_spaces', singleSpaces],
  ['lower', lower],
  ['words', all(`[${IN_WORD}]+`)],
  ['digits', all(DIGIT)],
  ['edges', text => Array.from(text.matchAll(new RegExp(EDGE, 'gu')), ({ index }) => codePoint(text, index))],
])('Python: %s', (name, make) => {
  expect(wrong(make, odd.python[name], NEW)).toEqual([]);
});

/** Taken by ftfy for UTF-8 that was misread in other code pages, or lost bytes: not covered, as fix-text.ts says. */
const GUESSES = [
  'A\ufffdb 1\ufffd2 \ufffd\ufffd Σ\ufffd \ufffd',
  '½\ufffcß\u0085ა⁰\u180e',
  '\u0130\u00bd\u2007s\u212a\x1b\u0390\ufb00',
];

test('ftfy: repaired text', () => {
  const other = wrong(fixText, odd.ftfy, NEW) as { text: string }[];
  const unexpected = other.filter(({ text }) => !GUESSES.includes(JSON.parse(text) as string));
  expect(unexpected).toEqual([]);
});
