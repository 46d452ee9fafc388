import { join } from 'node:path';
import { diskFolder } from '../../src/io/disk-folder';
import { droppedText } from '../../src/text/tokenizers/dropped';
import { folderFiles } from '../../src/text/tokenizers/files';
import { loadTokenizer } from '../../src/text/tokenizers/load';
import type { Tokenizer } from '../../src/text/tokenizers/tokenizer';
import { createWordTable } from '../../src/text/word-table';

const load = async (name: string): Promise<Tokenizer> =>
  loadTokenizer(await folderFiles(diskFolder(join(__dirname, '..', 'fixtures', 'tokenizers', name, 'tokenizer'))));

const LONG = `${'a red fox jumping over a lazy brown dog, '.repeat(60)}and a UNICORN`;

describe('what a text encoder does not read', () => {
  test('CLIP: what is taken fills the tokens, and the rest is told from the first lost word on', async () => {
    const clip = await load('clip');
    const { unknown, dropped } = clip.lost(LONG, 77);
    expect(unknown).toEqual([]);
    expect(dropped).toMatch(/^\w.*and a UNICORN$/);
    const taken = LONG.slice(0, LONG.length - dropped.length);
    expect(clip.encode(taken)).toEqual(clip.pad(LONG, 77).ids);
    expect(clip.lost('a red fox', 77)).toEqual({ unknown: [], dropped: '' });
    // Exactly as many as fit.
    expect(clip.lost('fox '.repeat(75), 77).dropped).toBe('');
    expect(clip.lost('fox '.repeat(76), 77).dropped).toBe('fox');
  });

  test('a word of which only the beginning fits counts as lost; so does a text without spaces, word by word', async () => {
    const clip = await load('clip');
    expect(clip.lost('one zyxwvutsrq end', 5).dropped).toBe('zyxwvutsrq end');
    const { dropped } = clip.lost('一只红色的狐狸跳过了一只懒狗', 12);
    expect(dropped.length).toBeGreaterThan(0);
    expect('一只红色的狐狸跳过了一只懒狗'.endsWith(dropped)).toBe(true);
    expect(clip.lost('fox', 2).dropped).toBe('fox');
  });

  test('T5: its end, and the words with characters that it does not have', async () => {
    const t5 = await load('t5-unigram');
    expect(t5.lost('A photo of 猫 and 猫', 48)).toEqual({ unknown: ['猫'], dropped: '' });
    expect(t5.lost('A photo of a cat 猫', 4)).toEqual({ unknown: [], dropped: 'a cat 猫' });
    const umt5 = await load('umt5-byte-fallback');
    expect(umt5.lost('A photo of 猫', 64).unknown).toEqual([]);
  });

  test('the work grows with what fits, not with the text', () => {
    const asked: number[] = [];
    const rest = droppedText('word '.repeat(2000), 10, beginning => {
      asked.push(beginning.length);
      return beginning.trim().split(' ').length;
    });
    expect(rest).toHaveLength(1990 * 5);
    expect(Math.max(...asked)).toBeLessThan(200);
  });

  test('a table of words', () => {
    const config = { max_length: 3, pad_id: 0, null_id: 1, pattern: '[a-z]+', stop_words: ['a'] };
    const table = createWordTable(config, { red: 2, heart: 3 });
    expect(table.encode('a red dragon heart a lion key')).toMatchObject({
      unknown: ['dragon'],
      dropped: ['lion', 'key'],
    });
  });

  test('a text that is no prompt is refused', async () => {
    const clip = await load('clip');
    expect(() => clip.pad('a'.repeat(10_000_000), 77)).toThrow('A prompt of 10000000 characters was given');
  });
});
