import { UsageError } from '../errors';

const TIMES: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };
const SIZES: Readonly<Record<string, number>> = { MB: 1e6, GB: 1e9, TB: 1e12 };

/** Milliseconds of `30s`, `15m`, `12h` or `7d`. @throws UsageError for anything else */
export function duration(text: string): number {
  return amount(text, TIMES, 'a time such as 30s, 15m, 12h or 7d');
}

/** Bytes of `500MB`, `10GB` or `1TB`. @throws UsageError for anything else */
export function byteSize(text: string): number {
  return amount(text, SIZES, 'a size such as 500MB, 10GB or 1TB');
}

function amount(text: string, units: Readonly<Record<string, number>>, what: string): number {
  const [, count, unit = ''] = /^(\d{1,6}(?:\.\d{1,3})?)\s?([A-Za-z]+)$/.exec(text.trim()) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (count !== undefined && factor !== undefined) return Math.round(Number(count) * factor);
  throw new UsageError(`"${text}" is not ${what}.`);
}
