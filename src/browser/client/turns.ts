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

/** Lets one call at a time through. */
export function turns(): {
  /** @param work gets a signal that is aborted with the caller's, and when another call takes its place */
  take<T>(busy: Busy, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
} {
  const taken = new Set<Turn>();
  return {
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
      if (busy === 'replace') {
        for (const other of before) other.controller.abort(new InterruptedError('Another call took its place.'));
      }
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
