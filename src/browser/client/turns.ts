import { InterruptedError, UsageError } from '../../errors';
import { requireGoing } from '../../io/turn';

/** What becomes of a call that comes while another one is under way. */
export type Busy =
  /** It waits for its turn. */
  | 'queue'
  /** It takes the place of all others: they end with an InterruptedError. */
  | 'replace'
  /** It is refused with a UsageError. */
  | 'reject';

interface Turn {
  readonly controller: AbortController;
  /** Settles when the turn is over, however it went. */
  readonly over: Promise<void>;
}

/** A line in which calls wait for their turn. */
export interface Turns {
  /** @param work gets a signal that is aborted with the caller's, and when another call takes its place */
  take<T>(busy: Busy, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Ends all that is under way or waits, with an InterruptedError. */
  stop(why: string): void;
}

/** Lets one call at a time through. */
export function turns(): Turns {
  const taken = new Set<Turn>();
  const stopAll = (why: string, some: Iterable<Turn>): void => {
    for (const { controller } of some) controller.abort(new InterruptedError(why));
  };
  return {
    stop: why => stopAll(why, taken),
    async take(busy, signal, work) {
      requireGoing(signal);
      if (busy === 'reject' && taken.size > 0) {
        throw new UsageError('The client is busy with another call.', {
          hint: "Wait for it, or say busy: 'queue' or busy: 'replace'.",
        });
      }
      const before = [...taken];
      const controller = new AbortController();
      const abort = (): void => controller.abort(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      let finish = (): void => {};
      const turn: Turn = { controller, over: new Promise(resolve => (finish = resolve)) };
      taken.add(turn);
      if (busy === 'replace') stopAll('Another call took its place.', before);
      try {
        await aborted(Promise.all(before.map(other => other.over)), controller.signal);
        return await work(controller.signal);
      } finally {
        taken.delete(turn);
        signal?.removeEventListener('abort', abort);
        finish();
      }
    },
  };
}

/** Waits, but no longer than until the signal is aborted. */
async function aborted(wait: Promise<unknown>, signal: AbortSignal): Promise<void> {
  let stop = (): void => {};
  const stopped = new Promise<void>(resolve => (stop = resolve));
  signal.addEventListener('abort', stop, { once: true });
  await Promise.race([wait, stopped]);
  signal.removeEventListener('abort', stop);
  requireGoing(signal);
}
