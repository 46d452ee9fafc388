import { existsSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { MOST } from '../io/counts';
import type { Guarantee } from '../policy/budget';
import { reusedOf } from '../policy/data';
import { guaranteeOf } from '../policy/guarantee-text';
import { type Seed, seedOf } from '../random/seed';
import type { LoraPath } from '../weights/lora/on-disk';

/** A number written in digits: `1e3` and `0x10` are more likely a slip than meant. */
const inDigits = (text: string): number => (/^-?\d+$/.test(text.trim()) ? Number(text) : Number.NaN);

/** A whole number between two bounds, both included: what has no bound has no end either. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return text => {
    const value = inDigits(text);
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

/** Whole numbers such as `15,10,6`, or a range such as `4-15`, from the largest to the least; each once. */
export function wholeNumbers(least: number, most: number): (text: string) => number[] {
  const isInside = (value: number): boolean => Number.isSafeInteger(value) && value >= least && value <= most;
  return text => {
    const range = /^(\d+)-(\d+)$/.exec(text.trim());
    const [first, last] = [Number(range?.[1]), Number(range?.[2])];
    // The ends are checked before anything is counted.
    if (range && isInside(first) && isInside(last) && first <= last) {
      return Array.from({ length: last - first + 1 }, (_, i) => last - i);
    }
    const values = text.split(',').map(inDigits);
    if (values.every(isInside)) return [...new Set(values)];
    throw new InvalidArgumentError(
      `Give whole numbers such as 15,10,6, or a range such as 4-15, all from ${least} to ${most}.`,
    );
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

/** A number above one and up to another. */
export function numberAbove(least: number, most: number): (text: string) => number {
  return text => {
    const value = Number(text);
    if (text.trim() !== '' && value > least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a number above ${least}, and at most ${most}.`);
  };
}

/** What pictures have to keep, such as `40dB@90%`; 90 % where no confidence is given. */
export function guaranteeText(text: string): Guarantee {
  const found = guaranteeOf(text);
  if (found) return found;
  throw new InvalidArgumentError('Give decibels, up to 100, and a confidence between 0 and 100 %, such as 40dB@90%.');
}

/** A part of the way from 0 to 1, such as `0.1,0.8`. */
export function interval(text: string): [from: number, to: number] {
  const [from = Number.NaN, to = Number.NaN, ...more] = text.split(',').map(part => Number(part.trim() || Number.NaN));
  if (more.length === 0 && from >= 0 && from <= to && to <= 1) return [from, to];
  throw new InvalidArgumentError('Give two numbers from 0 to 1, such as 0.1,0.8, the smaller one first.');
}

/** A schedule such as `##.#.`, as true where a step is reused. */
export function scheduleStrip(text: string): boolean[] {
  if (/^[#.]+$/.test(text)) return reusedOf(text);
  throw new InvalidArgumentError('It must be a # for every step that is computed and a . for every one reused.');
}

/**
 * A LoRA and its scale: `style.safetensors:0.8`. A file whose own name ends in that way is taken as it is.
 */
export function loraText(text: string): LoraPath {
  const [, path, scale] = /^(.+):([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)$/i.exec(text) ?? [];
  if (path === undefined || existsSync(text)) {
    const colon = text.lastIndexOf(':');
    if (colon > 0 && !existsSync(text) && existsSync(text.slice(0, colon))) {
      throw new InvalidArgumentError('What follows the last colon must be a number: by how much it is multiplied.');
    }
    if (text !== '') return { path: text, scale: 1 };
    throw new InvalidArgumentError('Give a file, and after a colon by how much it is multiplied.');
  }
  if (Math.abs(Number(scale)) <= MOST.loraScale) return { path, scale: Number(scale) };
  throw new InvalidArgumentError(`Its scale must be a number from -${MOST.loraScale} to ${MOST.loraScale}.`);
}
