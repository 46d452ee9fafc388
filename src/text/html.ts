import { decodeHTML, decodeHTMLStrict } from 'entities';

/** Elements whose content is no text. */
const SILENT = /<(script|style|template)\b[^>]*>[\s\S]*?<\/\1\s*>/gi;
/** Comments, declarations, processing instructions, end tags, start tags (a quoted value may hold `>`). */
const MARKUP = /<!--[\s\S]*?-->|<[!?][^>]*>|<\/[^>]*>|<[a-z](?:[^>=]|=\s*"[^"]*"|=\s*'[^']*'|=(?!\s*["']))*>/gi;
/** A reference; what ends it may be missing, but not the next character. */
const NAMED = /&([a-z][-.a-z0-9]*)(?:;|(?=[^a-z0-9]))/gi;
const NUMBERED = /&#(x[0-9a-f]+|[0-9]+)(?:;|(?=[^0-9a-f]))/gi;

/**
 * The text of a fragment of HTML, as BeautifulSoup gives it with Python's parser: tags and comments dropped,
 * references resolved. A `<` that begins no tag, and a tag that is never closed, is text.
 */
export function htmlText(html: string): string {
  const text = html.replace(SILENT, '').replace(MARKUP, '');
  return text
    .replace(NAMED, (_, name: string) => {
      const character = decodeHTMLStrict(`&${name};`);
      // An unknown name stays, without its semicolon.
      return character === `&${name};` ? `&${name}` : character;
    })
    .replace(NUMBERED, (_, number: string) => decodeHTML(`&#${number};`));
}

/** Resolves references as HTML does in text, those without a semicolon included. */
export function unescapeHtml(text: string): string {
  return decodeHTML(text);
}

/**
 * Resolves complete references only, and names in capitals (`&EACUTE;`), which HTML does not know.
 * What does not resolve stays as it is.
 */
export function unescapeComplete(text: string): string {
  return text.replace(/&#?[0-9a-z]{1,24};/gi, reference => {
    const character = decodeHTMLStrict(reference);
    if (character !== reference || !/^&[A-Z]+;$/.test(reference)) return character;
    const lower = decodeHTMLStrict(reference.toLowerCase());
    return lower === reference.toLowerCase() ? reference : lower.toUpperCase();
  });
}
