import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { ErtaError } from '../../src/errors';
import type { TokenizerFiles } from '../../src/text/tokenizers/files';
import { loadTokenizer } from '../../src/text/tokenizers/load';
import type { Tokenizer } from '../../src/text/tokenizers/tokenizer';

const read = (name: string, file: string): Buffer =>
  readFileSync(join(__dirname, '..', 'fixtures', 'tokenizers', name, 'tokenizer', file));

type Files = Readonly<Record<string, string | Uint8Array>>;

function given(files: Files): TokenizerFiles {
  return {
    where: 'tokenizer',
    has: name => Object.hasOwn(files, name),
    read: async name => (typeof files[name] === 'string' ? Buffer.from(files[name]) : (files[name] as Uint8Array)),
  };
}

/** Milliseconds of processor time that tell a hang, also on a slow machine. */
const LIMIT = 10_000;
const PROMPT = `A photo of ${'a'.repeat(300)}! <extra_id_0> \ufeff café 猫 ${' '.repeat(200)}\n`;

/** Loads it and cuts a prompt: done, or refused by one of the package's own errors, within the limit. */
async function tried(files: Files): Promise<ErtaError | undefined> {
  // Of its own work: other programs may keep the machine busy.
  const begin = process.cpuUsage();
  let refused: unknown;
  try {
    const tokenizer = await loadTokenizer(given(files));
    tokenizer.pad(PROMPT, 64);
  } catch (error) {
    refused = error;
  }
  const { user, system } = process.cpuUsage(begin);
  expect((user + system) / 1000).toBeLessThan(LIMIT);
  if (refused !== undefined && !(refused instanceof ErtaError)) throw refused;
  return refused as ErtaError | undefined;
}

const PIECES = [
  ['<pad>', 0],
  ['</s>', 0],
  ['<unk>', 0],
  ['▁a', -1],
  ['a', -2],
  ['▁', -3],
] as const;
const T5 = {
  added_tokens: [{ id: 1, content: '</s>' }],
  normalizer: null as unknown,
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' } as unknown,
  post_processor: null as unknown,
  model: { type: 'Unigram', unk_id: 2, vocab: PIECES as unknown },
};
const BYTES = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
const VOCAB = Object.fromEntries(
  [...BYTES, ...BYTES.map(c => `${c}</w>`), '<|startoftext|>', '<|endoftext|>', 'ca', 'cat</w>', 't</w>'].map(
    (piece, id) => [piece, id],
  ),
);
const CLIP = {
  added_tokens: [],
  normalizer: { type: 'Lowercase' } as unknown,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      {
        type: 'Split',
        pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
        behavior: 'Removed',
        invert: true,
      },
      { type: 'ByteLevel', add_prefix_space: false },
    ],
  } as unknown,
  model: {
    type: 'BPE',
    unk_token: '<|endoftext|>',
    end_of_word_suffix: '</w>',
    vocab: VOCAB as unknown,
    merges: ['c a', ['ca', 't</w>']] as unknown,
  },
};

const t5 = (changes: object, more: Files = {}): Files => ({
  'tokenizer.json': JSON.stringify({ ...T5, ...changes }),
  ...more,
});
const clip = (changes: object, more: Files = {}): Files => ({
  'tokenizer.json': JSON.stringify({ ...CLIP, ...changes }),
  ...more,
});
const t5Model = (changes: object): Files => t5({ model: { ...T5.model, ...changes } });
const clipModel = (changes: object): Files => clip({ model: { ...CLIP.model, ...changes } });
const plain = (vocab: unknown, merges: string, more: Files = {}): Files => ({
  'vocab.json': typeof vocab === 'string' ? vocab : JSON.stringify(vocab),
  'merges.txt': merges,
  ...more,
});
const replace = (pattern: object, content = ''): object => ({ type: 'Replace', pattern, content });
const nested = (levels: number): unknown =>
  levels === 0 ? { type: 'NFC' } : { type: 'Sequence', normalizers: [nested(levels - 1)] };
const spiece = (...bytes: number[]): Files => ({ 'spiece.model': new Uint8Array(bytes) });

test('the small tokenizers that the faults are put into are right', async () => {
  const small = await loadTokenizer(given(clip({})));
  expect(small.encode('CAT cat')).toEqual([188, 191, 191, 189]);
  expect(await tried(t5({}))).toBeUndefined();
  expect((await loadTokenizer(given(t5({})))).encode('a aa')).toEqual([3, 3, 4]);
});

test.each<[string, Files, string]>([
  [
    'a pattern that never ends',
    t5({ normalizer: replace({ Regex: '(a+)+$' }) }),
    'the step Replace has the pattern "(a+)+$"',
  ],
  ['a pattern that is none', t5({ normalizer: replace({ Regex: '(' }) }), 'the step Replace has the pattern "("'],
  [
    'a word pattern that never ends',
    clip({
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: '(a*)*b' }, behavior: 'Removed', invert: true },
          { type: 'ByteLevel', add_prefix_space: false },
        ],
      },
    }),
    'the step Split has the pattern',
  ],
  [
    'replacements that grow',
    t5({ normalizer: { type: 'Sequence', normalizers: Array(30).fill(replace({ String: 'a' }, 'aa')) } }),
    'more than 32 characters of one',
  ],
  ['a long replacement', t5({ normalizer: replace({ String: 'a' }, 'b'.repeat(1e6)) }), 'content of the step Replace'],
  ['a replacement of nothing', t5({ normalizer: replace({ String: '' }, 'b') }), 'pattern.String of the step Replace'],
  [
    'many steps',
    t5({ normalizer: { type: 'Sequence', normalizers: Array(1000).fill({ type: 'NFC' }) } }),
    'normalizers of the step Sequence',
  ],
  ['steps within steps', t5({ normalizer: nested(20) }), 'more than 4 levels deep'],
  ['JSON without a bottom', { 'tokenizer.json': '['.repeat(200_000) }, 'tokenizer.json is not valid JSON'],
  [
    'JSON that is deep and closed',
    { 'tokenizer.json': `{"model":${'['.repeat(100_000)}${']'.repeat(100_000)}}` },
    'tokenizer.json',
  ],
  ['a file of impossible length', { 'tokenizer.json': new Uint8Array(40_000_000) }, 'has 40000000 bytes'],
  ['no object', { 'tokenizer.json': '[]' }, 'tokenizer.json: the file'],
  ['no model', { 'tokenizer.json': '{}' }, 'tokenizer.json: model'],
  ['an added token without an id', t5({ added_tokens: [{ content: 'a' }] }), 'added_tokens.0.id'],
  ['an empty added token', t5({ added_tokens: [{ id: 1, content: '' }] }), 'added_tokens.0.content'],
  ['an endless added token', t5({ added_tokens: [{ id: 1, content: 'a'.repeat(1e6) }] }), 'added_tokens.0.content'],
  [
    'many added tokens',
    t5({ added_tokens: Array.from({ length: 20_000 }, (_, id) => ({ id, content: `<${id}>` })) }),
    'added_tokens',
  ],
  ['a negative id', t5({ added_tokens: [{ id: -1, content: 'a' }] }), 'added_tokens.0.id'],
  ['a huge id', t5({ added_tokens: [{ id: 1e15, content: 'a' }] }), 'added_tokens.0.id'],
  ['an unknown piece beyond the vocabulary', t5Model({ unk_id: 99 }), 'model.unk_id'],
  ['an empty vocabulary', t5Model({ vocab: [] }), 'model.vocab'],
  ['a score that is no number', t5Model({ vocab: [['a', 'b']] }), 'model.vocab.0.1'],
  ['an infinite score', { 'tokenizer.json': JSON.stringify({ ...T5 }).replace('-3]', '-1e999]') }, 'model.vocab.5.1'],
  ['an endless piece', t5Model({ vocab: [...PIECES, ['a'.repeat(1e5), -1]] }), 'model.vocab.6.0'],
  ['a vocabulary of another kind', t5Model({ vocab: { a: 1 } }), 'model.vocab'],
  [
    'character rules that are no base64',
    t5({ normalizer: { type: 'Precompiled', precompiled_charsmap: '§§' } }),
    'not base64',
  ],
  [
    'character rules that are broken',
    t5({ normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } }),
    'character rules',
  ],
  ['a step of no kind', t5({ normalizer: { type: 7 } }), 'normalizer.type'],
  ['a step that is a list', t5({ normalizer: [] }), 'normalizer'],
  ['an empty mark', t5({ pre_tokenizer: { type: 'Metaspace', replacement: '' } }), 'replacement of the step Metaspace'],
  ['another post-processor', t5({ post_processor: { type: 'BertProcessing' } }), 'post-processor BertProcessing'],
  [
    'a template without a place',
    t5({ post_processor: { type: 'TemplateProcessing', single: [], special_tokens: {} } }),
    'post_processor.single',
  ],
  [
    'a template of unknown tokens',
    t5({
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ Sequence: { id: 'A' } }, { SpecialToken: { id: 'toString' } }],
        special_tokens: {},
      },
    }),
    '"toString"',
  ],
  [
    'a template of many tokens',
    t5({
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ Sequence: { id: 'A' } }, { SpecialToken: { id: 'x' } }],
        special_tokens: { x: { ids: Array(1e5).fill(1) } },
      },
    }),
    'post_processor.special_tokens.x.ids',
  ],
  ['CLIP: a vocabulary of text', clipModel({ vocab: { a: 'b' } }), 'model.vocab.a'],
  ['CLIP: a vocabulary as a list', clipModel({ vocab: [] }), 'model.vocab'],
  ['CLIP: merges that are no list', clipModel({ merges: 7 }), 'model.merges'],
  ['CLIP: a merge of three', clipModel({ merges: ['a b c'] }), 'model.merges.0'],
  ['CLIP: a merge of unknown pieces', clipModel({ merges: ['x y'] }), 'merge 1 needs "xy"'],
  ['CLIP: an unknown token that is not there', clipModel({ unk_token: 'toString' }), '"toString"'],
  ['CLIP: dropout', clipModel({ dropout: 0.5 }), 'model.dropout'],
  ['CLIP: bytes for what is unknown', clipModel({ byte_fallback: true }), 'model.byte_fallback'],
  ['CLIP: no pre-tokenizer', clip({ pre_tokenizer: null }), 'pre_tokenizer'],
  [
    'CLIP: another pre-tokenizer',
    clip({ pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } }),
    'pre_tokenizer',
  ],
  ['CLIP: a vocabulary file of text', plain('"a"', ''), 'vocab.json: the file'],
  ['CLIP: a vocabulary file that ends', plain('{"a": 1', ''), 'vocab.json is not valid JSON'],
  ['CLIP: ids that are no numbers', plain({ a: null }, ''), 'vocab.json: a'],
  ['CLIP: a line of merges that is none', plain(VOCAB, '#version: 0.2\nc a\nc a t\n'), 'merges.txt: line 3'],
  [
    'CLIP: merges that are no text',
    { 'vocab.json': JSON.stringify(VOCAB), 'merges.txt': new Uint8Array([0xff, 0xfe]) },
    'merges.txt is not UTF-8',
  ],
  ['CLIP: merges of another vocabulary', plain(VOCAB, 'q q\n'), 'merges.txt: merge 1 needs "qq"'],
  [
    'a configuration that is a list',
    plain(VOCAB, '', { 'tokenizer_config.json': '[]' }),
    'tokenizer_config.json: the file',
  ],
  [
    'ids of added tokens that are no numbers',
    plain(VOCAB, '', { 'tokenizer_config.json': '{"added_tokens_decoder":{"x":{"content":"a"}}}' }),
    'added_tokens_decoder.x',
  ],
  [
    'ten million sentinels',
    { 'spiece.model': read('t5-unigram', 'spiece.model'), 'tokenizer_config.json': '{"extra_ids":10000000}' },
    'extra_ids',
  ],
  [
    'a length that is a text',
    plain(VOCAB, '', { 'tokenizer_config.json': '{"model_max_length":"77"}' }),
    'model_max_length',
  ],
  [
    'a length between two numbers',
    plain(VOCAB, '', { 'tokenizer_config.json': '{"model_max_length":76.5}' }),
    'model_max_length',
  ],
  [
    'a special token that is a number',
    plain(VOCAB, '', { 'special_tokens_map.json': '{"eos_token":7}' }),
    'special_tokens_map.json: eos_token',
  ],
  [
    'a special token that is not there',
    plain(VOCAB, '', { 'special_tokens_map.json': '{"eos_token":"__proto__"}' }),
    '"__proto__"',
  ],
  [
    'an empty added token beside a model',
    { 'spiece.model': read('t5-unigram', 'spiece.model'), 'added_tokens.json': '{"":7}' },
    'added_tokens.json',
  ],
  ['a model that is no message', spiece(0xff, 0xff), 'is not a sentencepiece model'],
  ['a model with an empty piece', spiece(0x0a, 0x02, 0x0a, 0x00), 'a piece of an impossible length'],
  [
    'a model with a score that is no number',
    spiece(0x0a, 0x08, 0x0a, 0x01, 0x61, 0x15, 0, 0, 0xc0, 0x7f),
    'a piece without a probability',
  ],
  [
    'a model of empty fields without end',
    { 'spiece.model': new Uint8Array(30_000_000).map((_, i) => (i % 2 ? 0 : 0x0a)) },
    'more fields',
  ],
  [
    'a model whose unknown piece is not there',
    spiece(0x0a, 0x03, 0x0a, 0x01, 0x61, 0x12, 0x03, 0xc0, 0x02, 0x09),
    'no piece for what is unknown',
  ],
])('refuses %s', async (_, files, message) => {
  const refused = await tried(files);
  expect(refused).toMatchObject({ message: expect.stringContaining(message), hint: expect.any(String) });
  expect(['checkpoint', 'unsupported']).toContain(refused?.code);
});

describe('files changed at random', () => {
  const bytes = fc.uint8Array({ maxLength: 6 });
  const cuts = fc.tuple(fc.nat(), fc.nat(12), bytes);
  const values = fc.constantFrom<unknown>(
    null,
    true,
    -1,
    0,
    1e300,
    7,
    '',
    'a',
    '</s>',
    '(a+)+$',
    [],
    {},
    [[]],
    ['a', 'a'],
    { type: 'Sequence' },
    '▁'.repeat(300),
  );

  /** The file with some of its bytes replaced. */
  function mutated(file: Uint8Array, changes: readonly [number, number, Uint8Array][]): Uint8Array {
    let result = Buffer.from(file);
    for (const [at, count, put] of changes) {
      const begin = at % (result.length + 1);
      result = Buffer.concat([result.subarray(0, begin), put, result.subarray(begin + count)]);
    }
    return result;
  }

  /** The value with another at a random place: each number chooses a branch on the way down. */
  function replaced(value: unknown, way: readonly number[], put: unknown): unknown {
    const [turn, ...rest] = way;
    if (turn === undefined || typeof value !== 'object' || value === null || Object.keys(value).length === 0)
      return put;
    const keys = Object.keys(value);
    const key = keys[turn % keys.length]!;
    const next = replaced((value as Record<string, unknown>)[key], rest, put);
    return Array.isArray(value) ? value.map((item, i) => (String(i) === key ? next : item)) : { ...value, [key]: next };
  }

  const ways = fc.array(fc.nat(400), { maxLength: 6 });
  const seeded = (numRuns: number) => ({ seed: 20_250, numRuns });

  test.each<[string, object]>([
    [
      'T5',
      {
        ...T5,
        normalizer: {
          type: 'Sequence',
          normalizers: [
            { type: 'NFKC' },
            { type: 'Strip', strip_left: false, strip_right: true },
            replace({ Regex: ' {2,}' }, '▁'),
          ],
        },
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ Sequence: { id: 'A' } }, { SpecialToken: { id: '</s>' } }],
          special_tokens: { '</s>': { ids: [1] } },
        },
      },
    ],
    ['CLIP', CLIP],
  ])('%s: tokenizer.json with other values', async (_, json) => {
    await fc.assert(
      fc.asyncProperty(ways, values, async (way, put) => {
        await tried({ 'tokenizer.json': JSON.stringify(replaced(json, way, put)) });
      }),
      seeded(400),
    );
  });

  test('settings with other values', async () => {
    const config = {
      model_max_length: 77,
      extra_ids: 3,
      eos_token: '<|endoftext|>',
      pad_token: { content: '<|endoftext|>' },
      added_tokens_decoder: {
        189: { content: '<|endoftext|>', lstrip: true, rstrip: true, normalized: true, single_word: true },
      },
    };
    await fc.assert(
      fc.asyncProperty(ways, values, async (way, put) => {
        const changed = JSON.stringify(replaced(config, way, put));
        await tried(plain(VOCAB, 'c a\n', { 'tokenizer_config.json': changed, 'special_tokens_map.json': changed }));
      }),
      seeded(200),
    );
  });

  test.each<[string, () => Files, string]>([
    ['spiece.model', () => ({ 'spiece.model': read('t5-unigram-legacy', 'spiece.model') }), 'spiece.model'],
    ['tokenizer.json', () => t5({}), 'tokenizer.json'],
    ['vocab.json', () => plain(VOCAB, 'c a\n'), 'vocab.json'],
    ['merges.txt', () => plain(VOCAB, 'c a\nca t</w>\n'), 'merges.txt'],
  ])('%s with other bytes', async (_, files, name) => {
    const whole = files();
    const file = Buffer.from(whole[name] as string);
    await fc.assert(
      fc.asyncProperty(fc.array(cuts, { minLength: 1, maxLength: 4 }), async changes => {
        await tried({ ...whole, [name]: mutated(file, changes) });
      }),
      seeded(60),
    );
  });
});

test('no prompt is so odd that a tokenizer fails', async () => {
  const tokenizers: Tokenizer[] = [
    await loadTokenizer(given(clip({}))),
    await loadTokenizer(given({ 'spiece.model': read('t5-unigram', 'spiece.model') })),
  ];
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), text => {
      for (const tokenizer of tokenizers) {
        const { dropped } = tokenizer.lost(text, 8);
        expect(text).toContain(dropped);
        expect(tokenizer.pad(text, 8).ids).toHaveLength(8);
      }
    }),
    { seed: 7, numRuns: 200 },
  );
});
