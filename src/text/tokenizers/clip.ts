/**
 * CLIP's byte-pair tokenizer, from `vocab.json` and `merges.txt` or from `tokenizer.json`. The ids of
 * @huggingface/tokenizers are right here; what older repositories lack, its description, is made from the two files.
 */
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { z } from 'zod';
import { CheckpointError } from '../../errors';
import { readJson, readText, type TokenizerFiles } from './files';
import { readSettings, type Settings, tokenName } from './settings';
import { createTokenizer, type Tokenizer } from './tokenizer';

const START = '<|startoftext|>';
const END = '<|endoftext|>';

/** English contractions, words, single digits, and runs of other signs; the two special tokens stay whole. */
const WORDS = [
  '<\\|(?:start|end)oftext\\|>',
  "'(?:s|t|re|ve|m|ll|d)",
  '[\\p{L}]+',
  '[\\p{N}]',
  '[^\\s\\p{L}\\p{N}]+',
].join('|');

const vocabulary = z.record(z.string(), z.int().nonnegative());

/** From `vocab.json` and `merges.txt`. */
export async function clipFromVocabulary(files: TokenizerFiles): Promise<Tokenizer> {
  const vocab = await readJson(files, 'vocab.json', vocabulary);
  const merges = parseMerges(await readText(files, 'merges.txt'));
  const settings = await readSettings(files);
  return assemble(describe(vocab, merges, settings), settings, files.where);
}

/** From the content of `tokenizer.json`. */
export async function clipFromJson(files: TokenizerFiles, content: object): Promise<Tokenizer> {
  return assemble(content, await readSettings(files), files.where);
}

/** The first line says the version of the format; a pair of pieces on each line after it. */
function parseMerges(text: string): [string, string][] {
  return text.split('\n').flatMap((line): [string, string][] => {
    const pair = line.trim().split(' ');
    return line.startsWith('#version') || pair.length !== 2 ? [] : [pair as [string, string]];
  });
}

/** What CLIP's `tokenizer.json` would say. */
function describe(vocab: Record<string, number>, merges: readonly [string, string][], settings: Settings): object {
  const special = [START, END].flatMap(content => (content in vocab ? [{ content, id: vocab[content] }] : []));
  const known = settings.added.length > 0 ? settings.added : special;
  return {
    added_tokens: known.map(token => ({ lstrip: false, rstrip: false, single_word: false, ...token, special: true })),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: WORDS }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false },
      ],
    },
    post_processor: null,
    decoder: null,
    model: {
      type: 'BPE',
      unk_token: tokenName(settings.unknown) ?? END,
      continuing_subword_prefix: '',
      end_of_word_suffix: '</w>',
      fuse_unk: false,
      vocab,
      merges,
    },
  };
}

function assemble(json: object, settings: Settings, where: string): Tokenizer {
  const library = new Library(json, {});
  const idOf = (name: string): number => {
    const id = library.token_to_id(name);
    if (id !== undefined) return id;
    throw new CheckpointError('config_json', `${where} names the special token ${name}, which its vocabulary lacks.`, {
      hint: 'Take all files of the tokenizer from one repository.',
    });
  };
  const end = tokenName(settings.eos) ?? END;
  return createTokenizer({
    body: text => library.encode(text, { add_special_tokens: false }).ids,
    piece: id => library.id_to_token(id) ?? '',
    before: [idOf(tokenName(settings.bos) ?? START)],
    after: [idOf(end)],
    padId: idOf(tokenName(settings.pad) ?? end),
    maxLength: settings.maxLength,
  });
}
