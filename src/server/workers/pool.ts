import { EngineError, InterruptedError } from '../../errors';
import type { Assignment, Finished, Question, Runner } from '../jobs/runner';
import type { Log } from '../log';
import type { Begin } from './messages';
import type { Together } from './together';
import { NotDrawn, startWorker, type Worker } from './worker-process';

/** Processes of this machine that draw. */
export interface PoolOptions {
  readonly count: number;
  readonly begin: Begin;
  readonly log: Log;
  /** How many pieces are drawn as one batch; each alone by default. */
  readonly together?: Together | undefined;
  /** The worker's script; the built one by default. */
  readonly script?: string | undefined;
}

/**
 * A fixed number of processes, each of which draws one batch at a time and may hold the next one already.
 * @returns the runner; close it
 */
export function processPool({ count, begin, log, script, together = () => 1 }: PoolOptions): Runner {
  const workers = Array.from({ length: count }, (_, number) => startWorker({ number, begin, log, script }));
  /** Batches that no worker was free for: theirs has just gone, or has not begun yet. */
  const waiting: ((worker: Worker) => void)[] = [];
  const isStopped = (): boolean => workers.every(each => each.health().state === 'stopped');
  const begun = new Promise<void>((resolve, reject) => {
    for (const worker of workers) {
      worker.onFree = () => {
        resolve();
        waiting.shift()?.(worker);
      };
      worker.onStopped = () => {
        if (!isStopped()) return;
        reject(new EngineError(`Nothing can be drawn: ${worker.fault()}`));
        // Each is told by the worker itself that it is gone.
        for (const go of waiting.splice(0)) go(worker);
      };
    }
  });
  // Whoever does not ask need not hear of it: requests fail with the reason.
  begun.catch(() => {});

  /** The free worker that has the model in memory, or else one that has none, or any; or else one that is soon free. */
  function freeFor(model: string): Worker | undefined {
    const free = workers.filter(each => each.isFree());
    return (
      free.find(each => each.models().includes(model)) ??
      free.find(each => each.models().length === 0) ??
      free[0] ??
      workers.find(each => each.isEnding())
    );
  }

  /** A worker comes to the end of what it does: it is handed what waits, or else more is asked for. */
  function handNext(worker: Worker, onEnding: () => void): void {
    const go = waiting.shift();
    if (go) go(worker);
    else onEnding();
  }

  /**
   * Hands a batch to a worker. One that ended with a process before it was begun goes to the next; pieces that ended with
   * one together are drawn each alone, so that the one which ended it fails alone.
   */
  function handTo(worker: Worker, batch: readonly Assignment[], onEnding: () => void): Promise<Finished>[] {
    let again: readonly Promise<Finished>[] | undefined;
    const drawn = worker.draw(batch, () => handNext(worker, onEnding));
    return drawn.map((each, row) =>
      each.catch(error => {
        if (!(error instanceof NotDrawn)) throw error;
        if (error.wasBegun) return draw([batch[row] as Assignment], () => {})[0] as Promise<Finished>;
        again ??= draw(batch, onEnding);
        // Those that were stopped meanwhile have been told so.
        for (const other of again) other.catch(() => {});
        return again[row] as Promise<Finished>;
      }),
    );
  }

  /** Hands a batch to the next worker that is free; what of it was stopped until then is not begun. */
  function whenFree(batch: readonly Assignment[], onEnding: () => void): Promise<Finished>[] {
    let go: (worker: Worker) => void = () => {};
    const drawn = new Promise<readonly Promise<Finished>[]>(resolve => {
      go = worker => resolve(handTo(worker, batch, onEnding));
    });
    waiting.push(go);
    const left = new Set<Assignment>();
    return batch.map(
      (each, row) =>
        new Promise((resolve, reject) => {
          const leave = (): void => {
            left.add(each);
            const place = waiting.indexOf(go);
            if (left.size === batch.length && place >= 0) waiting.splice(place, 1);
            reject(new InterruptedError('Stopped before it was begun.', each.signal.reason));
          };
          each.signal.addEventListener('abort', leave, { once: true });
          drawn.then(all => {
            each.signal.removeEventListener('abort', leave);
            (all[row] as Promise<Finished>).then(resolve, reject);
          });
        }),
    );
  }

  function draw(batch: readonly Assignment[], onEnding: () => void): Promise<Finished>[] {
    const model = batch[0]?.piece.request.model ?? '';
    const worker = freeFor(model) ?? (isStopped() ? workers[0] : undefined);
    return worker ? handTo(worker, batch, onEnding) : whenFree(batch, onEnding);
  }

  /** The next worker that is free. @throws InterruptedError where it is no longer wanted */
  function nextFree(signal: AbortSignal): Promise<Worker> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const place = waiting.indexOf(go);
        if (place >= 0) waiting.splice(place, 1);
        reject(new InterruptedError('Stopped before it was begun.', signal.reason));
      };
      const go = (worker: Worker): void => {
        signal.removeEventListener('abort', leave);
        resolve(worker);
      };
      waiting.push(go);
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
    });
  }

  async function ask(question: Question): Promise<Uint8Array> {
    const worker = freeFor(question.target.model) ?? (isStopped() ? workers[0] : undefined);
    const next = worker ?? (await nextFree(question.signal));
    try {
      return await next.ask(question);
    } catch (error) {
      if (error instanceof NotDrawn) return ask(question);
      throw error;
    }
  }

  return {
    places: count,
    ask,
    begun: () => begun,
    mostTogether: piece =>
      together(
        piece,
        workers.map(each => each.kind()).find(kind => kind !== undefined),
      ),
    draw: (batch, onEnding = () => {}) => draw(batch, onEnding),
    health() {
      const each = workers.map(worker => worker.health());
      return {
        ready: each.some(({ state }) => state === 'idle' || state === 'busy'),
        faults: workers.flatMap(worker => worker.fault() ?? []),
        workers: each,
      };
    },
    async close() {
      await Promise.all(workers.map(worker => worker.close()));
    },
  };
}
