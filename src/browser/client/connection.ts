import { EngineError, InterruptedError, UsageError } from '../../errors';
import { requireGoing } from '../../io/turn';
import { fromPlain } from '../plain-error';
import type { CallName, Calls, ToPage, ToWorker } from '../protocol';
import type { ComputeOptions } from '../types';

/** Called with what is told of a call while it runs. */
export type Told<N extends CallName> = {
  readonly [E in keyof Calls[N]['told']]?: ((value: Calls[N]['told'][E]) => void) | undefined;
};

/** How a call is watched and stopped. */
export interface Watch<N extends CallName> {
  readonly told?: Told<N>;
  readonly signal?: AbortSignal | undefined;
}

/** The page's end of the line to a worker. */
export interface Connection {
  /**
   * Asks the worker.
   * @throws the library's typed errors, InterruptedError when `signal` is aborted
   */
  ask<N extends CallName>(call: N, asked: Calls[N]['asked'], watch?: Watch<N>): Promise<Calls[N]['answer']>;
  /** Ends the worker: what is under way ends with an InterruptedError. */
  close(): void;
}

interface Pending {
  readonly told: Readonly<Record<string, ((value: unknown) => void) | undefined>>;
  settle(outcome: { readonly answer: unknown } | { readonly error: Error }): void;
}

/**
 * Connects to a worker that runs `ertacache/browser-worker`. Messages of one call arrive in order, so nothing is told
 * of a call that has ended.
 */
export function connect(worker: Worker, compute: ComputeOptions, onNotice: (text: string) => void): Connection {
  const pending = new Map<number, Pending>();
  let next = 0;
  let ended: Error | undefined;
  const send = (message: ToWorker): void => worker.postMessage(message);

  function end(error: Error): void {
    ended ??= error;
    worker.terminate();
    for (const call of pending.values()) call.settle({ error });
  }

  worker.addEventListener('message', ({ data }: MessageEvent<ToPage>) => {
    if ('notice' in data) return onNotice(data.notice);
    const call = pending.get(data.id);
    if (!call) return;
    if ('told' in data) call.told[data.told]?.(data.value);
    else if ('answer' in data) call.settle({ answer: data.answer });
    else call.settle({ error: fromPlain(data.error) });
  });
  const broken = (what: string): void =>
    end(
      new EngineError(`The worker could not be run: ${what}.`, {
        hint: "Check the address of its script and the page's content security policy.",
      }),
    );
  worker.addEventListener('error', event => broken(event.message || 'its script could not be loaded'));
  worker.addEventListener('messageerror', () => broken('a message could not be read'));
  send({ start: compute });

  return {
    async ask(call, asked, { told = {}, signal } = {}) {
      requireGoing(signal);
      if (ended) throw ended;
      const id = next++;
      return new Promise((resolve, reject) => {
        const abort = (): void => send({ id, abort: true });
        pending.set(id, {
          told: told as Pending['told'],
          settle(outcome) {
            pending.delete(id);
            signal?.removeEventListener('abort', abort);
            if ('answer' in outcome) resolve(outcome.answer as never);
            else reject(stopped(outcome.error, signal));
          },
        });
        signal?.addEventListener('abort', abort, { once: true });
        send({ id, call, asked });
      });
    },
    close() {
      if (ended) return;
      end(new InterruptedError('The client was terminated.'));
      ended = new UsageError('The client was used after it was terminated.', { hint: 'Make another one.' });
    },
  };
}

/** An interruption carries what the page's own signal was aborted with. */
function stopped(error: Error, signal: AbortSignal | undefined): Error {
  return error instanceof InterruptedError && signal?.aborted
    ? new InterruptedError(error.message, signal.reason)
    : error;
}
