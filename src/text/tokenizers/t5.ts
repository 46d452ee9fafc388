/**
 * T5's and UMT5's tokenizers, from `tokenizer.json` or from `spiece.model` alone.
 *
 * Written here because @huggingface/tokenizers (0.2) has other ids than the models were trained with: it approximates
 * the compiled character rules by NFKC, which differs for stacked accents and for joined emoji, and knows no byte
 * fallback, so that UMT5 would read every character outside its vocabulary as "unknown".
 */
import { z } from 'zod';
import { CheckpointError, UnsupportedError } from '../../errors';
import { fileIn } from '../../io/folder';
import { type AddedToken, addedToken, exactToken, tokenSplitter } from './added-tokens';
import { charsmapNormalizer } from './charsmap';
import { checked, readOptionalJson, type TokenizerFiles } from './files';
import { readSentencePieceModel } from './sentencepiece-model';
import { readSettings, type Settings, tokenName } from './settings';
import {
  metaspace,
  type Normalizer,
  normalizerOf,
  SPACE_MARK,
  type Splitter,
  splitterOf,
  stepSpec,
  stripEnd,
} from './text-steps';
import { createTokenizer, type Tokenizer } from './tokenizer';
import { createUnigram, type UnigramModel } from './unigram';

const T5_EXTRA_IDS = 100;

const unigramJson = z.object({
  added_tokens: z.array(addedToken).default([]),
  normalizer: stepSpec,
  pre_tokenizer: stepSpec,
  post_processor: stepSpec,
  model: z.object({
    type: z.literal('Unigram'),
    unk_id: z.int().nonnegative(),
    vocab: z.array(z.tuple([z.string(), z.number()])).min(1),
    byte_fallback: z.boolean().default(false),
  }),
});

const templateSpec = z.object({
  type: z.literal('TemplateProcessing'),
  single: z.array(
    z.union([
      z.object({ Sequence: z.object({ id: z.string() }) }),
      z.object({ SpecialToken: z.object({ id: z.string() }) }),
    ]),
  ),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(z.int().nonnegative()) })),
});

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
  const model = readSentencePieceModel(await files.read('spiece.model'), fileIn(files.where, 'spiece.model'));
  const settings = await readSettings(files);
  const listed = await readOptionalJson(files, 'added_tokens.json', z.record(z.string(), z.int().nonnegative()));
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
  const { model, added, normalize, split } = parts;
  const cut = createUnigram(model);
  const splitRaw = tokenSplitter(added.filter(token => !token.normalized));
  const splitNormalized = tokenSplitter(
    added.filter(token => token.normalized).map(token => ({ ...token, content: normalize(token.content) })),
  );
  const names = new Map(added.map(token => [token.id, token.content]));
  return createTokenizer({
    ...parts,
    padId: idOf(tokenName(settings.pad) ?? '<pad>', model, added, where),
    maxLength: settings.maxLength,
    piece: id => names.get(id) ?? model.pieces[id]?.[0] ?? '',
    body(text) {
      const words = (raw: string, first: boolean): number[] =>
        splitNormalized(normalize(raw)).flatMap((part, i) =>
          typeof part === 'number' ? [part] : split(part, first && i === 0).flatMap(cut),
        );
      return splitRaw(text).flatMap((part, i) => (typeof part === 'number' ? [part] : words(part, i === 0)));
    },
  });
}

/** The special tokens around a text. */
function template(spec: z.infer<typeof stepSpec>, where: string): Pick<UnigramParts, 'before' | 'after'> {
  if (!spec) return { before: [], after: [] };
  const parsed = templateSpec.safeParse(spec);
  if (!parsed.success) {
    throw new UnsupportedError(`${where}: ertacache does not know the post-processor ${spec.type} of tokenizer.json.`, {
      hint: 'ertacache reads the tokenizers of CLIP, T5 and UMT5.',
    });
  }
  const { single, special_tokens: special } = parsed.data;
  const place = single.findIndex(item => 'Sequence' in item);
  const ids = (items: typeof single): number[] =>
    items.flatMap(item => ('SpecialToken' in item ? (special[item.SpecialToken.id]?.ids ?? []) : []));
  return { before: ids(single.slice(0, place)), after: ids(single.slice(place + 1)) };
}

/** T5's sentinels, which its vocabulary file does not list: they follow the pieces, the last one first. */
function extraIds(pieces: number, count: number): AddedToken[] {
  return Array.from({ length: count }, (_, i) => exactToken(`<extra_id_${i}>`, pieces + count - 1 - i));
}

/** The first token of each text. */
function unique(tokens: readonly AddedToken[]): AddedToken[] {
  return tokens.filter((token, i) => tokens.findIndex(other => other.content === token.content) === i);
}

function idOf(name: string, model: UnigramModel, added: readonly AddedToken[], where: string): number {
  const id = added.find(token => token.content === name)?.id ?? model.pieces.findIndex(([piece]) => piece === name);
  if (id >= 0) return id;
  throw new CheckpointError('config_json', `${where} names the special token ${name}, which its vocabulary lacks.`, {
    hint: 'Take all files of the tokenizer from one repository.',
  });
}
