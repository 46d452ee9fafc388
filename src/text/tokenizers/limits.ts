/*
 * Bounds on what a tokenizer's files may ask for. They come from anywhere, and all that they name is built before the
 * first prompt is read. The largest published tokenizer in use, UMT5's, has 256,384 tokens.
 */

/** Bytes of a file. UMT5's `tokenizer.json` has 17 million. */
export const MAX_FILE = 2 ** 25;
/** Entries of a vocabulary, merges, and ids. */
export const MAX_TOKENS = 500_000;
/** Characters of a token. The longest of CLIP's has 66, those of sentencepiece 16. */
export const MAX_TOKEN_LENGTH = 256;
/** Tokens beside the vocabulary, sentinels included. T5 has 100, UMT5 300. */
export const MAX_ADDED = 10_000;
/** Steps of one tokenizer, all levels taken together. */
export const MAX_STEPS = 32;
/** Levels of steps within steps. */
export const MAX_DEPTH = 4;
/** Characters that a replacement puts in the place of what it found. */
export const MAX_REPLACEMENT = 16;
/** Times by which normalisation may lengthen a text. NFKC makes 18 characters of one. */
export const MAX_GROWTH = 32;
/** Bytes of compiled character rules, and of what stands for one character. Published rules have 240,000 and 33. */
export const MAX_CHARSMAP = 2 ** 22;
export const MAX_CHARACTER = 256;
