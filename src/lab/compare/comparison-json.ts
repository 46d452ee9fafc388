import { summarise } from './aggregate';
import { type Comparison, parseComparison } from './comparison';

/**
 * The JSON of a comparison, as it is written. Parsed, so that the order of the fields is the same however often the run
 * was cut. The summary can be made again from the rest; it is there for readers of the file.
 * @param where how errors call it
 */
export function comparisonJson(comparison: Comparison, where: string): string {
  const whole = { ...parseComparison(comparison, where), summary: summarise(comparison) };
  return `${JSON.stringify(whole, null, 1)}\n`;
}
