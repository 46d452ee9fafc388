/**
 * CLIP's byte-pair tokenizer, from `vocab.json` and `merges.txt` or from `tokenizer.json`.
 */
import { CheckpointError, UnsupportedError } from '../../errors';
import { fileIn } from '../../io/folder';
import { exactToken } from './added-tokens';
import { type BpeModel, createBpe } from './bpe';
import { checked, readJson, readText, type TokenizerFiles } from './files';
import { MAX_TOKEN_LENGTH, MAX_TOKENS } from './limits';
import { lacksToken, textToIds } from './pieces';
import { type AddedToken, bpeJson, type StepSpec, vocabularyFile } from './schemas';
import { readSettings, type Settings, tokenName } from './settings';
import { type Normalizer, normalizerOf, type Splitter, splitterOf } from './text-steps';
import { createTokenizer, type Tokenizer } from './tokenizer';

const START = '<|startoftext|>';
const END = '<|endoftext|>';
const END_OF_WORD = '</w>';

/** What the two files leave unsaid. */
const NORMALIZER: StepSpec = {
  type: 'Sequence',
  normalizers: [{ type: 'NFC' }, { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }, { type: 'Lowercase' }],
};
const PRE_TOKENIZER: StepSpec = {
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
};

/** A CLIP tokenizer as its parts, wherever they were read from. */
interface ClipParts {
  readonly model: Omit<BpeModel, 'unknownId'>;
  readonly added: readonly AddedToken[];
  readonly normalize: Normalizer;
  readonly split: Splitter;
  readonly unknown: string | null | undefined;
}

/** From `vocab.json` and `merges.txt`. */
export async function clipFromVocabulary(files: TokenizerFiles): Promise<Tokenizer> {
  const vocab = new Map(Object.entries(await readJson(files, 'vocab.json', vocabularyFile)));
  const merges = parseMerges(await readText(files, 'merges.txt'), fileIn(files.where, 'merges.txt'));
  const settings = await readSettings(files);
  const special = [START, END].flatMap(content => {
    const id = vocab.get(content);
    return id === undefined ? [] : [exactToken(content, id)];
  });
  const parts: ClipParts = {
    model: { vocab, merges, endOfWord: END_OF_WORD },
    added: settings.added.length > 0 ? settings.added : special,
    normalize: normalizerOf(NORMALIZER),
    split: splitterOf(PRE_TOKENIZER),
    unknown: tokenName(settings.unknown) ?? END,
  };
  return assemble(parts, settings, files.where, 'merges.txt');
}

/** From the content of `tokenizer.json`. */
export async function clipFromJson(files: TokenizerFiles, content: unknown): Promise<Tokenizer> {
  const { model, added_tokens, normalizer, pre_tokenizer } = checked(
    bpeJson,
    content,
    fileIn(files.where, 'tokenizer.json'),
  );
  requireByteLevel(pre_tokenizer, files.where);
  const parts: ClipParts = {
    model: {
      vocab: new Map(Object.entries(model.vocab)),
      merges: model.merges,
      endOfWord: model.end_of_word_suffix ?? '',
    },
    added: added_tokens,
    normalize: normalizerOf(normalizer),
    split: splitterOf(pre_tokenizer),
    unknown: model.unk_token,
  };
  return assemble(parts, await readSettings(files), files.where, 'tokenizer.json');
}

/** The first line says the version of the format; a pair of pieces on each line after it. */
function parseMerges(text: string, path: string): [string, string][] {
  const lines = text.split('\n');
  if (lines.length > MAX_TOKENS) throw broken(path, `has more than ${MAX_TOKENS} lines`);
  return lines.flatMap((whole, i): [string, string][] => {
    const line = whole.replace(/\r$/, '');
    if (line === '' || line.startsWith('#version')) return [];
    const pair = line.split(' ');
    if (pair.length !== 2 || pair.includes('') || line.length > 2 * MAX_TOKEN_LENGTH) {
      throw broken(path, `line ${i + 1} is no pair of pieces`);
    }
    return [pair as [string, string]];
  });
}

function broken(path: string, what: string): CheckpointError {
  return new CheckpointError('config_json', `${path}: ${what}.`, {
    hint: 'Take it from the repository that the text encoder is from.',
  });
}

/** @throws UnsupportedError unless words are taken as CLIP takes them, and then spelled in bytes */
function requireByteLevel(spec: StepSpec, where: string): void {
  const steps = spec?.type === 'Sequence' && Array.isArray(spec.pretokenizers) ? spec.pretokenizers : [];
  if (steps.map(step => (step as StepSpec)?.type).join() === 'Split,ByteLevel') return;
  throw new UnsupportedError(`${where}: tokenizer.json takes words in another way than CLIP (pre_tokenizer).`, {
    hint: 'Of byte-pair tokenizers ertacache reads that of CLIP.',
  });
}

function assemble(parts: ClipParts, settings: Settings, where: string, file: string): Tokenizer {
  const { vocab } = parts.model;
  const idOf = (name: string): number => {
    const id = parts.added.find(token => token.content === name)?.id ?? vocab.get(name);
    if (id === undefined) throw lacksToken(where, name);
    return id;
  };
  const unknownId = parts.unknown == null ? undefined : idOf(parts.unknown);
  const end = tokenName(settings.eos) ?? END;
  const special = {
    before: [idOf(tokenName(settings.bos) ?? START)],
    after: [idOf(end)],
    padId: idOf(tokenName(settings.pad) ?? end),
  };
  const cut = createBpe({ ...parts.model, unknownId }, fileIn(where, file));
  const names = new Map([...vocab].map(([piece, id]) => [id, piece]));
  for (const { content, id } of parts.added) names.set(id, content);
  return createTokenizer({
    body: textToIds({ ...parts, cut }),
    piece: id => names.get(id) ?? '',
    ...special,
    maxLength: settings.maxLength,
  });
}
