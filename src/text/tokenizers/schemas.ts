/*
 * The forms of a tokenizer's files, each as far as ertacache reads it. They come from anywhere: whatever passes here can
 * be built within a moment, and whatever does not is named by file and field.
 */
import { z } from 'zod';
import { MAX_ADDED, MAX_STEPS, MAX_TOKEN_LENGTH, MAX_TOKENS } from './limits';

const tokenId = z.int().nonnegative().max(MAX_TOKENS);
const content = z.string().min(1).max(MAX_TOKEN_LENGTH);
/** A piece may be empty: some vocabularies have holes. */
const piece = z.string().max(MAX_TOKEN_LENGTH);

/** A record with so many entries at most. */
function bounded<Key extends z.core.$ZodRecordKey, Value extends z.ZodType>(key: Key, value: Value, most: number) {
  return z.record(key, value).refine(record => Object.keys(record).length <= most, `has more than ${most} entries`);
}

/** A token that is recognised in a prompt before the prompt is cut into pieces. */
export const addedToken = z.object({
  id: tokenId,
  content,
  /** Takes the white space before it, or after it, with it. */
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  /** Only where no letter or digit touches it. */
  single_word: z.boolean().default(false),
  /** Is looked for in the normalised text. */
  normalized: z.boolean().default(false),
});
export type AddedToken = z.infer<typeof addedToken>;

/** `added_tokens.json`. */
export const addedTokensFile = bounded(content, tokenId, MAX_ADDED);

const tokenSpec = z.union([content, z.object({ content })]);
export type TokenSpec = z.infer<typeof tokenSpec>;

/** `special_tokens_map.json`. */
export const specialTokensMap = z.object({
  bos_token: tokenSpec.nullish(),
  eos_token: tokenSpec.nullish(),
  pad_token: tokenSpec.nullish(),
  unk_token: tokenSpec.nullish(),
});

/** `tokenizer_config.json`. */
export const tokenizerConfig = specialTokensMap.extend({
  // Not an integer to zod: some files write 10³⁰.
  model_max_length: z.number().positive().refine(Number.isInteger, 'is no whole number').nullish(),
  extra_ids: z.int().nonnegative().max(MAX_ADDED).nullish(),
  added_tokens_decoder: bounded(z.string().regex(/^\d{1,7}$/), addedToken.omit({ id: true }), MAX_ADDED).default({}),
});

/** `vocab.json`. */
export const vocabularyFile = bounded(piece, tokenId, MAX_TOKENS);

/** A step as `tokenizer.json` describes it; its fields are checked where its kind is known. */
export const stepSpec = z.looseObject({ type: z.string().max(MAX_TOKEN_LENGTH) }).nullish();
export type StepSpec = z.infer<typeof stepSpec>;

/** Steps one after another. */
export const stepList = z.array(stepSpec).max(MAX_STEPS);

/** What the two kinds of `tokenizer.json` have in common. */
const tokenizerJson = z.object({
  added_tokens: z.array(addedToken).max(MAX_ADDED).default([]),
  normalizer: stepSpec,
  pre_tokenizer: stepSpec,
  post_processor: stepSpec,
});

/** `tokenizer.json` of T5 and UMT5. */
export const unigramJson = tokenizerJson.extend({
  model: z
    .object({
      type: z.literal('Unigram'),
      unk_id: tokenId,
      vocab: z
        .array(z.tuple([piece, z.number()]))
        .min(1)
        .max(MAX_TOKENS),
      byte_fallback: z.boolean().default(false),
    })
    .refine(model => model.unk_id < model.vocab.length, { path: ['unk_id'], error: 'is no id of the vocabulary' }),
});

const merge = z.union([
  z.tuple([piece, piece]),
  z
    .string()
    .regex(/^[^ ]+ [^ ]+$/, 'is no pair of pieces')
    .transform(text => text.split(' ') as [string, string]),
]);

/** `tokenizer.json` of CLIP. What other byte-pair tokenizers do otherwise is refused by its field. */
export const bpeJson = tokenizerJson.extend({
  model: z.object({
    type: z.literal('BPE'),
    unk_token: content.nullish(),
    dropout: z.null().optional(),
    continuing_subword_prefix: z.literal('').nullish(),
    end_of_word_suffix: z.string().max(MAX_TOKEN_LENGTH).nullish(),
    fuse_unk: z.literal(false).optional(),
    byte_fallback: z.literal(false).optional(),
    ignore_merges: z.literal(false).optional(),
    vocab: vocabularyFile,
    merges: z.array(merge).max(MAX_TOKENS),
  }),
});

/** The part of any `tokenizer.json` that says which kind it is. */
export const anyKind = z.looseObject({ model: z.looseObject({ type: z.string().max(MAX_TOKEN_LENGTH) }) });

/** Most special tokens around a text; T5 has one, CLIP two. */
const MAX_AROUND = 16;
const around = z.string().max(MAX_TOKEN_LENGTH);

/** A post-processor that puts special tokens around a text. */
export const templateSpec = z.object({
  type: z.literal('TemplateProcessing'),
  single: z
    .array(
      z.union([z.object({ Sequence: z.object({ id: around }) }), z.object({ SpecialToken: z.object({ id: around }) })]),
    )
    .max(MAX_AROUND),
  special_tokens: z.record(around, z.object({ ids: z.array(tokenId).max(MAX_AROUND) })),
});
