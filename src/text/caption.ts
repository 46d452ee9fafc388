/*
 * The caption rules that Open-Sora's prompts go through, as its training captions did. They were made for the alt texts
 * of pictures on the web: addresses, file names, article numbers and shop phrases go, punctuation is thinned out.
 */
import { htmlText } from './html';
import { DIGIT, EDGE, IN_WORD, lower, NON_SPACE, SPACE, singleSpaces, strip } from './patterns';
import { withoutAddresses } from './web-addresses';

type Rule = readonly [pattern: RegExp, replacement: string];

const rule = (pattern: string, replacement = ''): Rule => [new RegExp(pattern, 'gu'), replacement];
const apply = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((t, [from, to]) => t.replace(from, to), text);

const FILE_TYPES = '(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)';
/** On lower-case text that may still hold tags. */
const withoutAnyAddress = (text: string): string =>
  ['https?', 'www'].reduce(withoutAddresses, text.replaceAll('<person>', 'person'));

const SIGNS_AND_NUMBERS: readonly Rule[] = [
  rule(`@[${IN_WORD}]+${EDGE}`),
  // From CJK strokes to unified ideographs, enclosed and compatibility characters between them.
  rule('[\\u31c0-\\u9fff]+'),
  // Every kind of dash.
  rule('\\p{Pd}+', '-'),
  rule('[`´«»“”¨]', '"'),
  rule('[‘’]', "'"),
  rule('&quot;?'),
  rule('&amp'),
  // Network addresses; a time of day at the very end; a line break spelled out.
  rule(`${DIGIT}{1,3}(?:\\.${DIGIT}{1,3}){3}`, ' '),
  rule(`${DIGIT}:${DIGIT}{2}${SPACE}+$`),
  rule('\\\\n', ' '),
  // Article numbers.
  rule(`#${DIGIT}{1,3}${EDGE}`),
  rule(`#${DIGIT}{5,}${EDGE}`),
  rule(`${EDGE}${DIGIT}{6,}${EDGE}`),
  // From the beginning of the run on: no later start finds what this one does not.
  rule(`(?<!${NON_SPACE})${NON_SPACE}+\\.${FILE_TYPES}`),
  rule('["\']{2,}', '"'),
  rule('\\.{2,}', ' '),
  rule('[#®•©™&@·º½¾¿¡§~()[\\]{}|\\\\/*]+', ' '),
  rule(`${SPACE}+\\.${SPACE}+`, ' '),
];

/** In a text with more of them than this, they stand for spaces. */
const MAX_HYPHENS = 3;

const CODES_AND_PHRASES: readonly Rule[] = [
  // Codes: jc6640, jc6640vc, 6640vc231.
  rule(`${EDGE}[a-zA-Z]{1,3}${DIGIT}{3,15}${EDGE}`),
  rule(`${EDGE}[a-zA-Z]+${DIGIT}+[a-zA-Z]+${EDGE}`),
  rule(`${EDGE}${DIGIT}+[a-zA-Z]+${DIGIT}+${EDGE}`),
  rule(`(?:worldwide${SPACE}+)?(?:free${SPACE}+)?shipping`),
  rule(`(?:free${SPACE})?download(?:${SPACE}free)?`),
  rule(`${EDGE}click${EDGE}${SPACE}(?:for|on)${SPACE}[${IN_WORD}]+`),
  rule(`${EDGE}${FILE_TYPES}(?:${SPACE}images?)?`),
  rule(`${EDGE}page${SPACE}+${DIGIT}+${EDGE}`),
  rule(`${EDGE}${DIGIT}*[a-zA-Z]+${DIGIT}+[a-zA-Z]+${DIGIT}+[a-zA-Z\\p{Nd}]*${EDGE}`, ' '),
  // Sizes: 1920x1080, with a Latin x, a Cyrillic one, or a sign.
  rule(`${EDGE}${DIGIT}+\\.?${DIGIT}*[x\\u0445×]${DIGIT}+\\.?${DIGIT}*${EDGE}`),
  rule(`${EDGE}${SPACE}+:${SPACE}+`, ': '),
  // A space after a mark that touches the next word, unless it stands in a number.
  rule(`(\\P{Nd}[,./])${EDGE}`, '$1 '),
];

/** On text with single spaces: quotes around all of it, marks at its ends, a hidden file's name. */
const ENDS: readonly Rule[] = [
  rule('^["\']([\\s\\S]+)["\']$', '$1'),
  rule("^['_,:;-]"),
  rule("['_,:+-]$"),
  rule(`^\\.${NON_SPACE}+$`),
];

/**
 * One pass of the caption rules; Open-Sora makes two.
 * @param mend repairs the text and resolves its references; runs between the rules
 */
export function cleanCaption(text: string, mend: (text: string) => string): string {
  const plain = htmlText(withoutAnyAddress(lower(strip(unquote(text)))));
  const thinned = apply(plain, SIGNS_AND_NUMBERS);
  const hyphens = thinned.match(/[-_]/g)?.length ?? 0;
  const mended = mend(hyphens > MAX_HYPHENS ? thinned.replace(/[-_]/g, ' ') : thinned);
  return strip(apply(singleSpaces(apply(mended, CODES_AND_PHRASES)), ENDS));
}

/** Decodes text that was part of an address: plus signs are spaces, `%C3%A9` is a letter. */
function unquote(text: string): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return text
    .replaceAll('+', ' ')
    .replace(/(?:%[0-9a-f]{2})+/gi, codes =>
      decoder.decode(Uint8Array.from(codes.slice(1).split('%'), code => Number.parseInt(code, 16))),
    );
}
