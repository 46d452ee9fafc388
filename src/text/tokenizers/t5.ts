/**
 * T5's and UMT5's tokenizers, from `tokenizer.json` or from `spiece.model` alone.
 */
import { CheckpointError, UnsupportedError } from '../../errors';
import { fileIn } from '../../io/folder';
import { stripEnd } from '../unicode';
import { exactToken } from './added-tokens';
import { charsmapNormalizer } from './charsmap';
import { checked, readBytes, readOptionalJson, type TokenizerFiles } from './files';
import { lacksToken, textToIds } from './pieces';
import { type AddedToken, addedTokensFile, type StepSpec, templateSpec, unigramJson } from './schemas';
import { readSentencePieceModel } from './sentencepiece-model';
import { readSettings, type Settings, tokenName } from './settings';
import { metaspace, type Normalizer, normalizerOf, SPACE_MARK, type Splitter, splitterOf } from './text-steps';
import { createTokenizer, type Tokenizer } from './tokenizer';
import { createUnigram, type UnigramModel } from './unigram';

const T5_EXTRA_IDS = 100;

/** A T5 tokenizer as its parts, wherever they were read from. */
interface UnigramParts {
  readonly model: UnigramModel;
  readonly added: readonly AddedToken[];
  readonly normalize: Normalizer;
  readonly split: Splitter;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** From the content of `tokenizer.json`. */
export async function unigramFromJson(files: TokenizerFiles, content: unknown): Promise<Tokenizer> {
  const json = checked(unigramJson, content, fileIn(files.where, 'tokenizer.json'));
  const { model, added_tokens: added } = json;
  const parts: UnigramParts = {
    model: { pieces: model.vocab, unknownId: model.unk_id, byteFallback: model.byte_fallback },
    added,
    normalize: normalizerOf(json.normalizer),
    split: splitterOf(json.pre_tokenizer),
    ...template(json.post_processor, files.where),
  };
  return assemble(parts, await readSettings(files), files.where);
}

/** From `spiece.model`, with `added_tokens.json` and the configuration where they are there. */
export async function unigramFromSentencePiece(files: TokenizerFiles): Promise<Tokenizer> {
  const model = readSentencePieceModel(await readBytes(files, 'spiece.model'), fileIn(files.where, 'spiece.model'));
  const settings = await readSettings(files);
  const listed = await readOptionalJson(files, 'added_tokens.json', addedTokensFile);
  const named = Object.entries(listed ?? {}).map(([content, id]) => exactToken(content, id));
  const kept = [...model.specialIds, ...model.userDefinedIds].map(id => exactToken(model.pieces[id]![0], id));
  const known = unique([...settings.added, ...named, ...kept]);
  const added = known.some(token => token.content === '<extra_id_0>')
    ? known
    : [...known, ...extraIds(model.pieces.length, settings.extraIds ?? T5_EXTRA_IDS)];
  const rules: Normalizer = model.charsmap.length > 0 ? charsmapNormalizer(model.charsmap) : text => text;
  const parts: UnigramParts = {
    model,
    added,
    normalize: text => stripEnd(rules(text)).replace(/ {2,}/g, SPACE_MARK),
    split: metaspace(SPACE_MARK, model.addDummyPrefix ? 'always' : 'never'),
    before: [],
    after: [idOf(tokenName(settings.eos) ?? '</s>', model, added, files.where)],
  };
  return assemble(parts, settings, files.where);
}

function assemble(parts: UnigramParts, settings: Settings, where: string): Tokenizer {
  const { model, added } = parts;
  const names = new Map(added.map(token => [token.id, token.content]));
  return createTokenizer({
    ...parts,
    padId: idOf(tokenName(settings.pad) ?? '<pad>', model, added, where),
    unknownId: model.unknownId,
    maxLength: settings.maxLength,
    piece: id => names.get(id) ?? model.pieces[id]?.[0] ?? '',
    body: textToIds({ ...parts, cut: createUnigram(model) }),
  });
}

/** The special tokens around a text. */
function template(spec: StepSpec, where: string): Pick<UnigramParts, 'before' | 'after'> {
  if (!spec) return { before: [], after: [] };
  if (spec.type !== 'TemplateProcessing') {
    throw new UnsupportedError(`${where}: ertacache does not know the post-processor ${spec.type} of tokenizer.json.`, {
      hint: 'ertacache reads the tokenizers of CLIP, T5 and UMT5.',
    });
  }
  const path = fileIn(where, 'tokenizer.json');
  const { single, special_tokens: special } = checked(templateSpec, spec, path, 'post_processor');
  const places = single.flatMap((item, i) => ('Sequence' in item ? [i] : []));
  const [place] = places;
  if (place === undefined || places.length > 1) {
    throw new CheckpointError('config_json', `${path}: post_processor.single: has no one place for the text.`, {
      hint: 'Take it from the repository that the text encoder is from.',
    });
  }
  const ids = (items: typeof single): number[] =>
    items.flatMap(item => {
      if (!('SpecialToken' in item)) return [];
      const { id } = item.SpecialToken;
      const named = Object.hasOwn(special, id) ? special[id] : undefined;
      if (!named) throw lacksToken(path, id);
      return named.ids;
    });
  return { before: ids(single.slice(0, place)), after: ids(single.slice(place + 1)) };
}

/** T5's sentinels, which its vocabulary file does not list: they follow the pieces, the last one first. */
function extraIds(pieces: number, count: number): AddedToken[] {
  return Array.from({ length: count }, (_, i) => exactToken(`<extra_id_${i}>`, pieces + count - 1 - i));
}

/** The first token of each text. */
function unique(tokens: readonly AddedToken[]): AddedToken[] {
  const first = new Map<string, AddedToken>();
  for (const token of tokens) if (!first.has(token.content)) first.set(token.content, token);
  return [...first.values()];
}

function idOf(name: string, model: UnigramModel, added: readonly AddedToken[], where: string): number {
  const id = added.find(token => token.content === name)?.id ?? model.pieces.findIndex(([piece]) => piece === name);
  if (id < 0) throw lacksToken(where, name);
  return id;
}
