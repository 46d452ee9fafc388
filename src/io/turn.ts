import { InterruptedError } from '../errors';

/**
 * Turns of the event loop. Tensors are computed on the thread that timers, input and other requests wait for, and
 * promises that are fulfilled at once do not let them through: long work has to stand aside by itself.
 */

/**
 * Work may hold up the event loop for so long, in milliseconds. A turn itself takes microseconds, but what V8 does in
 * turns, collecting garbage early, shows where they are frequent: at 15 ms it was up to a tenth of a small model's run.
 */
const DUE = 50;

let last = Number.NEGATIVE_INFINITY;

/** Calls back in a task of its own, behind those that wait. Timers come last: browsers make them wait for 4 ms. */
function later(call: () => void): void {
  if (typeof setImmediate === 'function') {
    setImmediate(call);
    return;
  }
  if (typeof MessageChannel !== 'function') {
    setTimeout(call);
    return;
  }
  const { port1, port2 } = new MessageChannel();
  const heard = (): void => {
    port1.close();
    call();
  };
  port1.addEventListener('message', heard, { once: true });
  port1.start();
  port2.postMessage(null);
}

/** @throws InterruptedError when the signal is aborted */
export function requireGoing(signal: AbortSignal | undefined, message?: string): void {
  if (signal?.aborted) throw new InterruptedError(message, signal.reason);
}

/**
 * Gives the event loop a turn.
 * @throws InterruptedError when the signal is aborted, before the turn or in it
 */
export async function nextTurn(signal?: AbortSignal): Promise<void> {
  requireGoing(signal);
  await new Promise<void>(later);
  last = performance.now();
  requireGoing(signal);
}

/**
 * Gives the event loop a turn where the last one is some time ago; for places that are passed often.
 * @throws InterruptedError when the signal is aborted, before the turn or in it
 */
export async function breathe(signal?: AbortSignal): Promise<void> {
  if (performance.now() - last > DUE) return nextTurn(signal);
  requireGoing(signal);
}
