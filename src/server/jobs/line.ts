import { Refusal } from './faults';
import type { Live } from './live';

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
  next(): Waiting | undefined;
  /** Takes the pieces out for which this holds. @returns their jobs */
  leave(when: (live: Live) => boolean): Live[];
}

/** The longest that a client is told to wait, in seconds. */
const LONGEST_WAIT = 600;

/**
 * @param most pieces that may wait
 * @param places pieces that are drawn at a time
 * @param meanSeconds mean time of a piece
 */
export function createLine(most: number, places: number, meanSeconds: () => number): Line {
  let waiting: Waiting[] = [];
  return {
    get length() {
      return waiting.length;
    },
    requireRoom(pieces, free) {
      if (waiting.length + pieces <= most + free) return;
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
    next: () => waiting.shift(),
    leave(when) {
      const left = new Set(waiting.filter(({ live }) => when(live)).map(({ live }) => live));
      waiting = waiting.filter(({ live }) => !left.has(live));
      return [...left];
    },
  };
}
