import { UsageError } from '../errors';

/** A seed: a whole number from 0 to 2⁶⁴ - 1, as a bigint where a number cannot tell it from its neighbours. */
export type Seed = number | bigint;

/** Seeds lie below. */
const END = 1n << 64n;

export const SEED_HINT = 'Seeds are whole numbers from 0 to 18446744073709551615 (2⁶⁴ - 1).';

/** A seed as a number where that is exact. */
const shortest = (seed: bigint): Seed => (seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : seed);

/** A seed from a number, a bigint or decimal digits; nothing where it is none. */
export function seedOf(value: unknown): Seed | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  if (typeof value === 'bigint') return value >= 0n && value < END ? shortest(value) : undefined;
  if (typeof value !== 'string' || !/^(0|[1-9]\d{0,19})$/.test(value)) return undefined;
  return seedOf(BigInt(value));
}

/** A seed as JSON holds it: a number where that is exact, else its digits. */
export function seedJson(seed: Seed): number | string {
  const short = shortest(BigInt(seed));
  return typeof short === 'number' ? short : String(short);
}

/** @throws UsageError unless `count` seeds from the first on are seeds */
export function seedsFrom(first: Seed, count: number): Seed[] {
  const from = BigInt(first);
  if (from + BigInt(count) > END) {
    throw new UsageError(`From the seed ${first} on there are not ${count} seeds.`, { hint: SEED_HINT });
  }
  return Array.from({ length: count }, (_, i) => shortest(from + BigInt(i)));
}

/** A seed that nobody chose, below 2³²: all that decides the noise. */
export const randomSeed = (): number => Math.floor(Math.random() * 2 ** 32);
