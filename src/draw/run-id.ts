import { canonicalJson } from '../io/canonical-json';
import { sha256 } from '../io/sha256';
import type { Receipt } from './receipt';

/** What of a receipt says how a run is made, and not what came of it. */
export type RunFacts = Omit<Receipt, 'schedule' | 'forwards' | 'outside' | 'bound'>;

/**
 * What identifies a run: two of one id give the same bytes, wherever their files lie. It is the SHA-256 of the receipt
 * without paths and without what came of the run.
 */
export function runId(receipt: RunFacts): string {
  const { schedule: _, forwards: __, outside: ___, bound: ____, ...facts } = receipt as RunFacts & Partial<Receipt>;
  return sha256(canonicalJson(withoutPaths(facts)));
}

function withoutPaths(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPaths);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'path')
      .map(([name, item]) => [name, withoutPaths(item)]),
  );
}
