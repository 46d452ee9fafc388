import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { diskFolder } from '../../src/io/disk-folder';
import type { Folder } from '../../src/io/folder';
import { exactToken, tokenSplitter } from '../../src/text/tokenizers/added-tokens';
import { charsmapNormalizer } from '../../src/text/tokenizers/charsmap';
import { folderFiles, modelFiles, type TokenizerFiles } from '../../src/text/tokenizers/files';
import { loadTokenizer } from '../../src/text/tokenizers/load';
import { readFields } from '../../src/text/tokenizers/protobuf';
import { readSentencePieceModel } from '../../src/text/tokenizers/sentencepiece-model';
import { metaspace, normalizerOf, splitterOf } from '../../src/text/tokenizers/text-steps';
import { createUnigram } from '../../src/text/tokenizers/unigram';

const path = (name: string): string => join(__dirname, '..', 'fixtures', 'tokenizers', name, 'tokenizer');
const folder = (name: string): Folder => diskFolder(path(name));

/** Files in memory. */
function given(files: Record<string, string | Uint8Array>): TokenizerFiles {
  return {
    where: 'tokenizer',
    has: name => name in files,
    read: async name => (typeof files[name] === 'string' ? Buffer.from(files[name]) : (files[name] as Uint8Array)),
  };
}

describe('loadTokenizer', () => {
  test('spiece.model alone: the sentinels of T5 follow the pieces, the last one first', async () => {
    const spiece = readFileSync(join(path('t5-unigram'), 'spiece.model'));
    const tokenizer = await loadTokenizer(given({ 'spiece.model': spiece }));
    expect(tokenizer.encode('<extra_id_0> and <extra_id_99>')).toEqual([519, 9, 420, 1]);
    expect(tokenizer.piece(519)).toBe('<extra_id_0>');
    expect(tokenizer.piece(10_000)).toBe('');
    expect(tokenizer.maxLength).toBeUndefined();
  });

  test('reads the length that the encoder was made for', async () => {
    expect((await loadTokenizer(await folderFiles(folder('clip')))).maxLength).toBe(77);
    expect((await loadTokenizer(await folderFiles(folder('t5-unigram')))).maxLength).toBe(512);
  });

  test('takes its files from an opened model', async () => {
    const model = {
      path: 'm',
      files: ['tokenizer_2/spiece.model'],
      readFile: async () => readFileSync(join(path('t5-unigram'), 'spiece.model')),
    };
    expect((await loadTokenizer(modelFiles(model, 'tokenizer_2'))).encode('a')).toEqual([4, 1]);
    await expect(loadTokenizer(modelFiles(model, 'tokenizer'))).rejects.toMatchObject({ fault: 'missing_config' });
  });

  test('pads, and cuts a long prompt before its end token', async () => {
    const tokenizer = await loadTokenizer(await folderFiles(folder('t5-unigram')));
    expect(tokenizer.pad('A photo of a cat', 8)).toEqual({
      ids: [10, 153, 11, 4, 205, 1, 0, 0],
      mask: [1, 1, 1, 1, 1, 1, 0, 0],
      cut: 0,
    });
    expect(tokenizer.pad('A photo of a cat', 4)).toEqual({ ids: [10, 153, 11, 1], mask: [1, 1, 1, 1], cut: 2 });
    expect(tokenizer.pad('A photo of a cat', 1)).toEqual({ ids: [1], mask: [1], cut: 5 });
    expect(() => tokenizer.pad('a', 0)).toThrow('cannot be brought to 0 tokens');
  });

  test.each([
    ['nothing', {}, 'holds no tokenizer'],
    ['no JSON', { 'tokenizer.json': '{' }, 'tokenizer.json is not valid JSON'],
    ['no UTF-8', { 'tokenizer.json': new Uint8Array([0xff]) }, 'is not UTF-8'],
    ['another kind', { 'tokenizer.json': '{"model":{"type":"WordPiece"}}' }, 'of the kind WordPiece'],
    ['a part of it', { 'tokenizer.json': '{"model":{"type":"Unigram"}}' }, 'tokenizer.json: model.unk_id'],
    ['a pointer', { 'spiece.model': 'version https://git-lfs.github.com/spec/v1\n' }, 'is not a sentencepiece model'],
    ['an empty file', { 'spiece.model': '' }, 'is not a sentencepiece model'],
    ['a vocabulary of other tokens', { 'vocab.json': '{"a":0}', 'merges.txt': '' }, 'its vocabulary lacks'],
  ])('refuses %s', async (_, files, message) => {
    await expect(loadTokenizer(given(files as Record<string, string>))).rejects.toThrow(message);
  });

  test('a piece that looks like the name of a prototype is a piece', async () => {
    const pieces = ['<pad>', '</s>', '<unk>', '▁constructor', '▁__proto__'];
    const json = {
      normalizer: null,
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
      post_processor: null,
      model: { type: 'Unigram', unk_id: 2, vocab: pieces.map(piece => [piece, -1]) },
    };
    const tokenizer = await loadTokenizer(given({ 'tokenizer.json': JSON.stringify(json) }));
    expect(tokenizer.encode('constructor __proto__ toString')).toEqual([3, 4, 2]);
  });
});

describe('readSentencePieceModel', () => {
  test('refuses a model of another kind', () => {
    // One piece, and a training record that says byte-pair encoding.
    const model = new Uint8Array([0x0a, 3, 0x0a, 1, 0x61, 0x12, 2, 0x18, 2]);
    expect(() => readSentencePieceModel(model, 'spiece.model')).toThrow('not a unigram model');
  });

  test('every cut of a message is refused or shorter, never endless', () => {
    const whole = readFileSync(join(path('t5-unigram-legacy'), 'spiece.model')).subarray(0, 400);
    for (let end = 0; end < whole.length; end++) {
      try {
        expect(readFields(whole.subarray(0, end)).length).toBeLessThanOrEqual(end / 2);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
    expect(() => readFields(new Uint8Array(20).fill(0xff))).toThrow(RangeError);
    expect(() => readFields(new Uint8Array([0x0b]))).toThrow(RangeError);
    expect(() => readFields(new Uint8Array([0x00]))).toThrow(RangeError);
  });
});

describe('text steps', () => {
  test('added tokens: the longest first, with the space that they take, only where they stand alone', () => {
    const tokens = [
      exactToken('<a>', 1),
      exactToken('<a><b>', 2),
      { ...exactToken('<mask>', 3), lstrip: true, rstrip: true },
      { ...exactToken('cat', 4), single_word: true },
    ];
    const split = tokenSplitter(tokens);
    expect(split('x<a><b><a>y')).toEqual(['x', 2, 1, 'y']);
    expect(split('one  <mask> two')).toEqual(['one', 3, 'two']);
    expect(split('cats and a cat')).toEqual(['cats and a ', 4]);
    expect(split('')).toEqual([]);
  });

  test('the mark for spaces: always, once, never; whole or cut', () => {
    expect(metaspace('▁', 'always')('a b', false)).toEqual(['▁a', '▁b']);
    expect(metaspace('▁', 'first')('a b', true)).toEqual(['▁a', '▁b']);
    expect(metaspace('▁', 'first')('a b', false)).toEqual(['a', '▁b']);
    expect(metaspace('▁', 'never')('a b', true)).toEqual(['a', '▁b']);
    expect(metaspace('▁', 'always', false)('a b', true)).toEqual(['▁a▁b']);
    expect(metaspace('▁', 'always')('', true)).toEqual([]);
    expect(metaspace('▁', 'always')(' a', true)).toEqual(['▁a']);
  });

  test('normalizers in sequence, and those that are not known', () => {
    const steps = [
      { type: 'NFKC' },
      { type: 'Lowercase' },
      { type: 'Strip', strip_left: true, strip_right: true },
      { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '$&' },
      { type: 'Replace', pattern: { String: '.' }, content: '!' },
      { type: 'Precompiled', precompiled_charsmap: null },
    ];
    expect(normalizerOf({ type: 'Sequence', normalizers: steps })('  ﬁ  B. ')).toBe('fi$&b!');
    expect(() => normalizerOf({ type: 'BertNormalizer' })).toThrow('normalizer of the kind BertNormalizer');
    expect(() => splitterOf({ type: 'Digits' })).toThrow('pre-tokenizer of the kind Digits');
    expect(() => normalizerOf({ type: 'Strip' })).toThrow('strip_left');
  });

  test('broken character rules are refused', () => {
    expect(() => charsmapNormalizer(new Uint8Array(3))).toThrow('character rules');
    expect(() => charsmapNormalizer(new Uint8Array([8, 0, 0, 0, 1]))).toThrow('character rules');
  });
});

describe('createUnigram', () => {
  const pieces = [
    ['<unk>', 0],
    ['a', -1],
    ['b', -1],
    ['ab', -1.5],
    ['😀', -3],
    ['<0xC3>', -9],
    ['<0xA9>', -9],
  ] as const;

  test('takes the most probable pieces, and joins unknown characters', () => {
    const cut = createUnigram({ pieces, unknownId: 0, byteFallback: false });
    expect(cut('aab')).toEqual([1, 3]);
    expect(cut('a😀b')).toEqual([1, 4, 2]);
    expect(cut('aé你b')).toEqual([1, 0, 2]);
    expect(cut('')).toEqual([]);
  });

  test('spells what it does not know in bytes, where it has them all', () => {
    const cut = createUnigram({ pieces, unknownId: 0, byteFallback: true });
    expect(cut('aé')).toEqual([1, 5, 6]);
    expect(cut('aü')).toEqual([1, 0]);
  });
});
