import { UsageError } from '../errors';

/**
 * Checks of what programs without types may pass: each names the argument, what it was and what it may be, where a plain
 * TypeError from somewhere inside would say neither.
 */

/** What a value is, in a few words. */
export function told(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  return typeof value === 'function' ? 'a function' : 'an object of another kind';
}

/** @param allowed what the argument has to be, as the end of a sentence: `must be …` */
export function wrongArgument(name: string, value: unknown, allowed: string, hint?: string): UsageError {
  return new UsageError(`The argument ${name} is ${told(value)}, and must be ${allowed}.`, { hint });
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** @throws UsageError unless the value is text that is not empty */
export function requireText(name: string, value: unknown, allowed: string, hint?: string): void {
  if (typeof value !== 'string' || value === '') throw wrongArgument(name, value, allowed, hint);
}

/** @throws UsageError unless the value is an object, an array being none */
export function requireObject(name: string, value: unknown, allowed: string, hint?: string): void {
  if (!isObject(value) || Array.isArray(value)) throw wrongArgument(name, value, allowed, hint);
}

/** @throws UsageError unless the value is an array of which every element passes */
export function requireList(
  name: string,
  value: unknown,
  passes: (item: unknown) => boolean,
  allowed: string,
  hint?: string,
): void {
  if (!Array.isArray(value)) throw wrongArgument(name, value, allowed, hint);
  const at = value.findIndex(item => !passes(item));
  if (at !== -1) throw wrongArgument(`${name}[${at}]`, value[at], `that of ${allowed}`, hint);
}

/** @throws UsageError unless the value is a whole number of at least `least` */
export function requireWhole(name: string, value: unknown, least: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= least) return;
  throw wrongArgument(name, value, `a whole number, at least ${least}`);
}

/** @throws UsageError unless the value is missing or an AbortSignal, of whatever realm */
export function requireSignal(name: string, value: unknown): void {
  if (value === undefined) return;
  if (isObject(value) && typeof value.aborted === 'boolean' && typeof value.addEventListener === 'function') return;
  throw wrongArgument(
    name,
    value,
    'an AbortSignal',
    'Give that of an AbortController, or AbortSignal.timeout(60_000).',
  );
}
