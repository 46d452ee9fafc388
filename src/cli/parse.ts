import { InvalidArgumentError } from 'commander';
import { reusedOf } from '../policy/data';
import { type Seed, seedOf } from '../random/seed';

/** A whole number between two bounds, both included. */
export function wholeNumber(least = 0, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return text => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `, at least ${least}` : ` from ${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a whole number${range}.`);
  };
}

/** A seed, or `random` for one that nobody chose. */
export function seedText(text: string): Seed | 'random' {
  const seed = text === 'random' ? text : seedOf(text.trim());
  if (seed !== undefined) return seed;
  throw new InvalidArgumentError('It must be a whole number from 0 to 18446744073709551615 (2⁶⁴ - 1), or random.');
}

/** A number between two bounds, both included. */
export function numberBetween(least: number, most = Number.POSITIVE_INFINITY): (text: string) => number {
  return text => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value >= least && value <= most) return value;
    const range = most === Number.POSITIVE_INFINITY ? `at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a number, ${range}.`);
  };
}

/** A schedule such as `##.#.`, as true where a step is reused. */
export function scheduleStrip(text: string): boolean[] {
  if (/^[#.]+$/.test(text)) return reusedOf(text);
  throw new InvalidArgumentError('It must be a # for every step that is computed and a . for every one reused.');
}
