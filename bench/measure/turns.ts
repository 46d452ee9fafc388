/** Runs that take turns, so that what changes on the machine meanwhile meets all of them. */
import { median } from '../../src/metrics/statistics';
import { QUIET, watch } from './quiet';

/** A median, with an interval that holds the true one in at least 95 of 100 measurements; all there is for few runs. */
export interface Middle {
  readonly middle: number;
  readonly low: number;
  readonly high: number;
}

export function middleOf(values: readonly number[]): Middle {
  const sorted = [...values].sort((a, b) => a - b);
  // Ranks by the normal approximation of the binomial distribution, rounded away from the middle.
  const rank = Math.max(0, Math.floor((sorted.length - 1.96 * Math.sqrt(sorted.length)) / 2) - 1);
  return { middle: median(sorted), low: sorted[rank]!, high: sorted[sorted.length - 1 - rank]! };
}

/** What turns gave: seconds by arm and turn, and how busy others kept the machine. */
export interface Turns {
  readonly seconds: readonly (readonly number[])[];
  /** Cores busy elsewhere before, between and after the turns, in the mean. */
  readonly load: number;
  readonly busy: boolean;
}

export interface TurnOptions {
  readonly runs: number;
  /** Turns before those that count. */
  readonly warm?: number;
  /** Seconds that may be waited for the machine to be quiet. */
  readonly patience?: number;
}

/** Lets all arms run one after the other, again and again: A, B, A, B … Each says how many seconds it took. */
export async function inTurns(arms: readonly (() => Promise<number>)[], options: TurnOptions): Promise<Turns> {
  const { runs, warm = 1, patience = 60 } = options;
  const seconds = arms.map((): number[] => []);
  const watching = watch(patience);
  for (let run = -warm; run < runs; run++) {
    if (run >= 0) await watching.look();
    for (const [i, arm] of arms.entries()) {
      const took = await arm();
      if (run >= 0) seconds[i]!.push(took);
    }
  }
  await watching.look();
  const load = watching.load();
  return { seconds, load, busy: load > QUIET };
}

/** The time of one arm by that of another, turn by turn. */
export function ratio({ seconds }: Turns, arm: number, by: number): Middle {
  return middleOf(seconds[arm]!.map((value, turn) => value / seconds[by]![turn]!));
}
