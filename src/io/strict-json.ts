/** A JSON value whose objects are Maps: a key such as `__proto__` is a key like any other. */
export type Json = null | boolean | number | string | readonly Json[] | ReadonlyMap<string, Json>;

/** The text is not JSON, or an object in it has the same key twice. The message is a clause, not a sentence. */
export class JsonError extends Error {}

const MAX_DEPTH = 64;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;
const WORDS = new Map<string, Json>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/**
 * Parses JSON by the letter of RFC 8259, and refuses what `JSON.parse` passes over in silence: a key given twice
 * (it would keep the last), and nesting without end.
 * @throws JsonError
 */
export function parseStrictJson(text: string): Json {
  let at = 0;

  const fail = (what: string): never => {
    throw new JsonError(`${what} at character ${at}`);
  };

  function skipSpace(): void {
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
  }

  function expect(mark: string): void {
    skipSpace();
    if (text[at] !== mark) fail(`expected '${mark}'`);
    at++;
  }

  function string(): string {
    expect('"');
    const start = at;
    let escaped = false;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === 0x22) {
        const raw = text.slice(start, at++);
        return escaped ? decode(raw) : raw;
      }
      if (code < 0x20) fail('a control character inside a string');
      if (code === 0x5c) {
        escaped = true;
        at++;
      }
    }
    return fail('a string without an end');
  }

  function decode(raw: string): string {
    try {
      return JSON.parse(`"${raw}"`) as string;
    } catch {
      return fail('an unknown escape in the string that ends');
    }
  }

  function object(depth: number): ReadonlyMap<string, Json> {
    const entries = new Map<string, Json>();
    if (closes('}')) return entries;
    for (;;) {
      const key = string();
      if (entries.has(key)) throw new JsonError(`the key "${key}" occurs twice in it`);
      expect(':');
      entries.set(key, value(depth + 1));
      if (closes('}')) return entries;
      expect(',');
    }
  }

  function array(depth: number): readonly Json[] {
    const items: Json[] = [];
    if (closes(']')) return items;
    for (;;) {
      items.push(value(depth + 1));
      if (closes(']')) return items;
      expect(',');
    }
  }

  function closes(mark: string): boolean {
    skipSpace();
    if (text[at] !== mark) return false;
    at++;
    return true;
  }

  function value(depth: number): Json {
    if (depth > MAX_DEPTH) fail('nesting too deep');
    skipSpace();
    const first = text[at];
    if (first === '{') {
      at++;
      return object(depth);
    }
    if (first === '[') {
      at++;
      return array(depth);
    }
    if (first === '"') return string();
    NUMBER.lastIndex = at;
    const digits = NUMBER.exec(text)?.[0];
    if (digits !== undefined) {
      at += digits.length;
      return Number(digits);
    }
    for (const [word, meaning] of WORDS) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return meaning;
      }
    }
    return fail('no value');
  }

  const result = value(0);
  skipSpace();
  if (at < text.length) fail('more text after the end');
  return result;
}

export function isJsonObject(value: Json | undefined): value is ReadonlyMap<string, Json> {
  return value instanceof Map;
}
