/**
 * `JSON.parse` without `__proto__` keys, which would otherwise turn into a prototype as soon as the object is copied
 * with `Object.assign`.
 * @throws SyntaxError
 */
export function parsePlainJson(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => (key === '__proto__' ? undefined : value));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
