import { InterruptedError } from '../../src/errors';
import type { Piece } from '../../src/server/jobs/order';
import type { Assignment, Finished, Runner } from '../../src/server/jobs/runner';

/** A piece that a test lets come to its end. */
export interface Drawing {
  readonly piece: Piece;
  readonly signal: AbortSignal;
  step(done: number, total: number): void;
  preview(index: number): void;
  finish(): void;
  fail(error: Error): void;
}

/** Draws nothing: a test says when pieces end, or all do at once. */
export interface FakeRunner extends Runner {
  /** What is being drawn, and what ever was. */
  readonly drawings: Drawing[];
  /** How many pieces each batch had. */
  readonly batches: number[];
  /** Says that a batch comes to its end, by its number. */
  readonly endings: (() => void)[];
  /** Waits until so many were begun. */
  begunCount(count: number): Promise<void>;
}

export function fakeRunner({ places = 1, atOnce = false, together = 1 } = {}): FakeRunner {
  const drawings: Drawing[] = [];
  let heard: () => void = () => {};
  const batches: number[] = [];
  const endings: (() => void)[] = [];
  return {
    places,
    drawings,
    batches,
    endings,
    mostTogether: () => together,
    async begunCount(count) {
      while (drawings.length < count) {
        await new Promise<void>(resolve => {
          heard = resolve;
        });
      }
    },
    draw(batch, onEnding = () => {}) {
      batches.push(batch.length);
      endings.push(onEnding);
      return batch.map(draw);
    },
    begun: async () => {},
    health: () => ({ ready: true, faults: [], workers: [] }),
    close: async () => {},
  };

  function draw({ piece, signal, onEvent }: Assignment): Promise<Finished> {
    return new Promise<Finished>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new InterruptedError('Stopped.')), { once: true });
      const drawing: Drawing = {
        piece,
        signal,
        step: (done, total) => onEvent({ type: 'step', done, total, forwards: 1, cacheBytes: 0 }),
        preview: index =>
          onEvent({ type: 'preview', index, bytes: Buffer.from(`preview ${index}`), width: 8, height: 8 }),
        finish: () => resolve(finished(piece)),
        fail: reject,
      };
      drawings.push(drawing);
      heard();
      if (atOnce) drawing.finish();
    });
  }
}

function finished({ request }: Piece): Finished {
  const { model, prompt, seed } = request;
  return {
    bytes: Buffer.from(`picture of ${prompt} with seed ${seed}`),
    receipt: {
      tool: 'ertacache',
      version: '0',
      model: { id: model, hash: 'h', path: model },
      ...{ prompt, seed, steps: 4, guidance: 1, scale: 1 },
      backend: 'wasm',
      policy: null,
      schedule: '####',
      forwards: 4,
    },
    seconds: 1,
    width: 8,
    height: 8,
    frames: 1,
    unread: [],
  };
}
