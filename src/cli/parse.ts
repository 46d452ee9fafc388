import { InvalidArgumentError } from 'commander';
import { reusedOf } from '../policy/data';

/** A whole number of at least `least`. */
export function wholeNumber(least = 0): (text: string) => number {
  return text => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It must be a whole number, at least ${least}.`);
  };
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
