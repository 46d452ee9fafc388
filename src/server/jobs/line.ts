import { Refusal } from './faults';
import type { Live } from './live';
import type { Piece } from './order';
import type { Runner } from './runner';

/** A piece that waits. */
export interface Waiting {
  readonly live: Live;
  readonly index: number;
}

/** Pieces that wait, first come first served; no more than there is room for. */
export interface Line {
  readonly length: number;
  /**
   * @param free pieces that would not wait
   * @throws Refusal where there is no room for so many
   */
  requireRoom(pieces: number, free: number): void;
  join(live: Live): void;
  /**
   * Takes out the first piece, and those behind it that are drawn with it.
   * @param free places that are free: what is alike is shared among them; where none is yet, a batch is taken only when
   *   nothing could be added to it
   * @returns nothing where nothing waits
   */
  next(free: number): readonly Waiting[];
  /** Takes the pieces out for which this holds. @returns their jobs */
  leave(when: (live: Live) => boolean): Live[];
}

/** The longest that a client is told to wait, in seconds. */
const LONGEST_WAIT = 600;

/**
 * @param most pieces that may wait
 * @param runner who draws them
 * @param meanSeconds mean time of a piece
 */
export function createLine(
  most: number,
  runner: Pick<Runner, 'places' | 'mostTogether'>,
  meanSeconds: () => number,
): Line {
  let waiting: Waiting[] = [];
  return {
    get length() {
      return waiting.length;
    },
    requireRoom(pieces, free) {
      if (waiting.length + pieces <= most + free) return;
      const { places } = runner;
      if (pieces > most + places) {
        throw new Refusal(400, 'too_many_pictures', `At most ${most + places} pictures can wait here.`, { param: 'n' });
      }
      const seconds = ((waiting.length + pieces - most) * meanSeconds()) / places;
      throw new Refusal(429, 'queue_full', `${waiting.length} pictures are waiting, and no more can.`, {
        retryAfter: Math.min(LONGEST_WAIT, Math.max(1, Math.ceil(seconds))),
      });
    },
    join(live) {
      waiting.push(...live.pieces.map((_, index) => ({ live, index })));
    },
    next(free) {
      const [first] = waiting;
      if (!first) return [];
      const alike = waiting.filter(({ live }) => live.batchKey === first.live.batchKey);
      const mostAlike = runner.mostTogether(first.live.pieces[first.index] as Piece);
      if (free <= 0 && alike.length < mostAlike) return [];
      const share = Math.ceil(alike.length / Math.max(1, free));
      const batch = alike.slice(0, Math.max(1, Math.min(mostAlike, share)));
      waiting = waiting.filter(each => !batch.includes(each));
      return batch;
    },
    leave(when) {
      const left = new Set(waiting.filter(({ live }) => when(live)).map(({ live }) => live));
      waiting = waiting.filter(({ live }) => !left.has(live));
      return [...left];
    },
  };
}
