import type { Compared } from 'ertacache/browser';
import { UsageError } from '../../../src/errors';
import { summarise } from '../../../src/lab/compare/aggregate';
import { parseComparison } from '../../../src/lab/compare/comparison';

/** A comparison from its file, checked, with its numbers. @throws UsageError saying what is wrong with it */
export function openComparison(json: string, name: string): Compared {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new UsageError(`${name} is not JSON.`, { hint: 'Open the comparison.json that ertacache compare wrote.' });
  }
  const comparison = parseComparison(value, name);
  return { comparison, rows: summarise(comparison) };
}
