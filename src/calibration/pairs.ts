import { UsageError } from '../errors';
import { isObject, requireList, requireWhole } from '../io/arguments';
import type { Pair } from '../policy/pair';
import { torchGenerator } from '../random/torch-generator';

/**
 * Seeds of evaluation, bounds, calibration and held-out pairs come from ranges that cannot meet, so that no noise is seen
 * twice. Generators tell seeds below 2³² apart.
 */
const EVALUATION_SEEDS = { from: 100, below: 2 ** 29 } as const;
const BOUND_SEEDS = { from: 2 ** 29, below: 2 ** 30 } as const;
const CALIBRATION_SEEDS = { from: 2 ** 30, below: 2 ** 31 } as const;
const HELD_OUT_SEEDS = { from: 2 ** 31, below: 2 ** 32 } as const;

type Seeds = { readonly from: number; readonly below: number };

/** Pairs to calibrate on and pairs to evaluate on, which share nothing. */
export interface PairSplit {
  /** Pairs to calibrate on. */
  readonly calibration: readonly Pair[];
  /** Pairs to evaluate on. */
  readonly evaluation: readonly Pair[];
}

/**
 * Splits prompts into a part for calibration and a part for evaluation that share nothing, and gives each its seeds.
 * The split depends on the prompts alone: a fixed shuffle, odd places to calibration, even places to evaluation.
 * @param prompts at least two different prompts; the order does not matter
 * @param calibration how many pairs to calibrate on
 * @param evaluation how many pairs to evaluate on; may be 0
 * @returns both sets; where there are fewer prompts than pairs, prompts come again with other seeds
 * @throws UsageError when there are not enough prompts
 */
export function splitPairs(prompts: readonly string[], calibration: number, evaluation: number): PairSplit {
  requireList('prompts', prompts, item => typeof item === 'string', 'a list of texts');
  requireWhole('calibration', calibration, 0);
  requireWhole('evaluation', evaluation, 0);
  const [forCalibration, forEvaluation] = halves(prompts);
  return {
    calibration: take(forCalibration, calibration, CALIBRATION_SEEDS, 'calibration'),
    evaluation: evaluation > 0 ? take(forEvaluation, evaluation, EVALUATION_SEEDS, 'evaluation') : [],
  };
}

/** Prompts to calibrate on, and those to evaluate on. */
function halves(prompts: readonly string[]): [calibration: string[], evaluation: string[]] {
  const distinct = shuffled([...new Set(prompts)].sort());
  return [distinct.filter((_, i) => i % 2 === 1), distinct.filter((_, i) => i % 2 === 0)];
}

function take(from: readonly string[], count: number, seeds: Seeds, what: string): Pair[] {
  if (from.length === 0) {
    throw new UsageError(`There are no prompts left for ${what}.`, {
      hint: 'Give more prompts, all of them different.',
    });
  }
  requireRoom(seeds.from, count, seeds);
  // Fewer prompts than pairs: the prompts come again with other seeds.
  return Array.from({ length: count }, (_, i) => ({ prompt: from[i % from.length] as string, seed: seeds.from + i }));
}

/** The same pairs, all of them steered away from a text. @param negative as they are, unless given */
export function steeredAway({ calibration, evaluation }: PairSplit, negative: string | undefined): PairSplit {
  const steer = (pairs: readonly Pair[]): readonly Pair[] =>
    negative === undefined ? pairs : pairs.map(pair => ({ ...pair, negative }));
  return { calibration: steer(calibration), evaluation: steer(evaluation) };
}

/**
 * Pairs that no choice has seen, to tell what a policy keeps: their noise follows from the policy, so that whoever chooses
 * between two policies by their figures gets new pairs for the next one.
 * @param pairs where the prompts are taken from
 * @param hash the policy's (`policyHash`)
 */
export function heldOutPairs(pairs: readonly Pair[], hash: string): Pair[] {
  const { from, below } = HELD_OUT_SEEDS;
  const first = from + (Number.parseInt(hash.slice(0, 12), 16) % (below - from - pairs.length));
  return pairs.map((pair, i) => ({ ...pair, seed: first + i }));
}

/**
 * Pairs to find the bounds of policies on: those of one model share them, so that its uncached pictures are drawn once.
 * @param prompts those that `splitPairs` gets: none comes that it calibrates on
 * @param seen further prompts that must not come
 */
export function boundPairs(prompts: readonly string[], count: number, seen: ReadonlySet<string> = new Set()): Pair[] {
  const unseen = halves(prompts)[1].filter(prompt => !seen.has(prompt));
  return take(unseen, count, BOUND_SEEDS, 'a bound: the policy was calibrated on all of them');
}

function requireRoom(first: number, count: number, { below }: Seeds): void {
  if (first + count <= below) return;
  throw new UsageError(`There are not ${count} seeds of their own.`, { hint: 'Ask for fewer pairs.' });
}

/** @throws UsageError unless a value is a list of prompts with their seeds */
export function requirePairs(name: string, pairs: unknown): void {
  const isPair = (pair: unknown): boolean => isObject(pair) && typeof pair.prompt === 'string' && 'seed' in pair;
  requireList(name, pairs, isPair, 'a list of { prompt, seed }', '`splitPairs` makes such lists of prompts.');
}

/**
 * The pairs in groups of at most `size`, in their order. Groups are smaller at the end, and where the negative prompt
 * changes: a batch has but one.
 */
export function batches(pairs: readonly Pair[], size: number): Pair[][] {
  if (!Number.isInteger(size) || size < 1) {
    throw new UsageError(`Pairs cannot run ${size} at a time: it must be a whole number, at least 1.`);
  }
  const groups: Pair[][] = [];
  for (const pair of pairs) {
    const last = groups.at(-1);
    if (last && last.length < size && last[0]?.negative === pair.negative) last.push(pair);
    else groups.push([pair]);
  }
  return groups;
}

/** A fixed Fisher–Yates shuffle. */
function shuffled(items: readonly string[]): string[] {
  const random = torchGenerator(0);
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random.uniformDouble() * (i + 1));
    [result[i], result[j]] = [result[j] as string, result[i] as string];
  }
  return result;
}
