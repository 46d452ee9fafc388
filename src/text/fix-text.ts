/*
 * Repair of damaged text, after the Python library ftfy (6.3), which the text pipelines pass prompts through.
 *
 * Covered: HTML references; UTF-8 that was read as Latin-1 or Windows-1252, once or repeatedly, whole lines and sure
 * parts of them; stray Windows-1252 controls; ligatures; full-width and half-width forms; curly quotes; line breaks;
 * lone surrogates; terminal colours; control characters; composition to NFC.
 *
 * Not covered: UTF-8 read in other code pages (Cyrillic, Greek, Mac, DOS, …); misread text that also lost bytes (a
 * no-break space turned into a space, characters replaced by "?" or "�"). Such text stays as it is. ftfy judges by a
 * long list of unlikely neighbours what is misread; the test below is shorter and stays away from text that may be
 * meant as it stands.
 */
import { unescapeComplete } from './html';

/** Repairs `text` line by line. */
export function fixText(text: string): string {
  let resolve = true;
  return text
    .split(/(?<=\n)/)
    .map(line => {
      // Where there are tags, references are meant for whoever reads the tags; so on all lines after them.
      resolve &&= !line.includes('<');
      return fixLine(line, resolve);
    })
    .join('');
}

function fixLine(line: string, resolve: boolean): string {
  for (let text = line; ; ) {
    const resolved = resolve ? unescapeComplete(text) : text;
    const fixed = FIXES.reduce((result, fix) => fix(result), resolved).normalize('NFC');
    if (fixed === text) return text;
    text = fixed;
  }
}

/**
 * What Windows-1252 reads the bytes 0x80 to 0x9F as; its five undefined bytes are controls. Written out, since
 * TextDecoder in some releases of Node reads them all as controls.
 */
const SPECIAL = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';
/** Latin-1 reads every byte as the character of its number; Windows-1252 differs in the special ones. */
const BYTE_OF = new Map<string, number>([
  ...Array.from({ length: 256 }, (_, byte): [string, number] => [String.fromCharCode(byte), byte]),
  ...Array.from(SPECIAL, (character, i): [string, number] => [character, 0x80 + i]),
]);

/** Characters that the inner bytes of UTF-8, 0x80 to 0xBF, are misread as. */
const INNER = `[\\x80-\\xbf${SPECIAL}]`;
/**
 * Sure signs of misread UTF-8: a mark of punctuation; a letter with an accent, unless it ends a word in capitals; a
 * longer sequence, unless it may be a word's last letter before punctuation.
 */
const SURE = new RegExp(`â€${INNER}|(?<!\\p{Lu})[ÂÃ]${INNER}|(?<!\\p{L})[â-ï]${INNER}{2}|[ð-ô]${INNER}{3}`, 'gu');
/** Signs of other alphabets, of which one alone could be chance. */
const LIKELY = new RegExp(`[ÄÅÎÏÐÑ×ØÙÚ]${INNER}`, 'gu');

/** Reads anew as UTF-8 what was read as Windows-1252 or Latin-1: the whole line, or the sure parts of it. */
function fixEncoding(line: string): string {
  const signs = line.match(SURE)?.length ?? 0;
  if (signs === 0 && (line.match(LIKELY)?.length ?? 0) < 2) return line;
  return readAgain(line) ?? line.replace(SURE, part => readAgain(part) ?? part);
}

/** Undefined when it cannot have been UTF-8. */
function readAgain(text: string): string | undefined {
  const bytes = Array.from(text, character => BYTE_OF.get(character));
  if (bytes.includes(undefined)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes as number[]));
  } catch {
    return undefined;
  }
}

/** Controls that were bytes of Windows-1252. */
function fixControls(text: string): string {
  return text.replace(/[\x80-\x9f]/g, control => SPECIAL[control.charCodeAt(0) - 0x80]!);
}

/** Letters that are two letters in one character. The long s keeps its shape. */
function splitLigatures(text: string): string {
  return text
    .replaceAll('\ufb05', '\u017ft')
    .replace(/[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb06]/g, c => c.normalize('NFKC'));
}

/** Full-width letters, half-width kana and the ideographic space in their usual width. */
function fixWidth(text: string): string {
  return text.replace(/[\u3000\uff01-\uffef]/g, character => character.normalize('NFKC'));
}

function straightenQuotes(text: string): string {
  return text.replace(/[\u02bc\u2018-\u201b]/g, "'").replace(/[\u201c-\u201f]/g, '"');
}

function fixLineBreaks(text: string): string {
  return text.replace(/\r\n|[\r\u2028\u2029\x85]/g, '\n');
}

function fixSurrogates(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

/** Colours and movements of a terminal. */
function dropTerminalCodes(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for
  return text.replace(/\x1b\[[\d;]*[a-z]/gi, '');
}

/** Characters without meaning in text: controls other than tab and line breaks, byte order marks, old format codes. */
function dropControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g, '');
}

const FIXES: readonly ((text: string) => string)[] = [
  fixEncoding,
  fixControls,
  splitLigatures,
  fixWidth,
  straightenQuotes,
  fixLineBreaks,
  fixSurrogates,
  dropTerminalCodes,
  dropControls,
];
