import { type Signal, signal } from '@preact/signals';
import type { Media, Result } from 'ertacache/browser';
import { draw } from '../engine/engine';
import type { Order } from '../engine/types';

/** How far a drawing has come. */
export interface Drawing {
  readonly state: 'waiting' | 'drawing' | 'done' | 'failed';
  /** Steps taken, and what was done at each: `#` computed, `.` reused. */
  readonly schedule: string;
  /** The picture, or what the last step foretells of it. */
  readonly media?: Media | undefined;
  readonly seconds?: number | undefined;
  readonly forwards?: number | undefined;
  /** All that is known of a finished one. */
  readonly result?: Result | undefined;
  readonly error?: string | undefined;
  /** Its time holds what only the first run of a model takes: kernels are compiled, memory is asked for. */
  readonly cold?: boolean | undefined;
}

const WAITING: Drawing = { state: 'waiting', schedule: '' };
/** Finished drawings that are kept. */
const KEPT = 80;

/** Two orders with the same key are the same drawing. */
export const keyOf = (order: Order): string => JSON.stringify(order);

const drawings = new Map<string, Signal<Drawing>>();
/** Models that have drawn once. */
const warm = new Set<string>();

/** Whether something was drawn, and nothing more is wanted now. */
export const settled = signal(false);

let wanted: readonly Order[] = [];
let running: { readonly key: string; readonly controller: AbortController } | undefined;

/** The drawing of an order, whether it is wanted, under way, or done. */
export function drawingOf(order: Order): Signal<Drawing> {
  const key = keyOf(order);
  const found = drawings.get(key) ?? signal(WAITING);
  // The last to be asked for are the last to go.
  drawings.delete(key);
  drawings.set(key, found);
  return found;
}

/** Says which drawings are wanted now, first first. What runs and is wanted no more is stopped. */
export function want(orders: readonly Order[]): void {
  wanted = orders;
  if (running && !orders.some(order => keyOf(order) === running?.key)) running.controller.abort();
  void next();
}

async function next(): Promise<void> {
  if (running) return;
  const order = wanted.find(candidate => drawingOf(candidate).peek().state === 'waiting');
  if (!order) {
    settled.value ||= wanted.length > 0 && wanted.every(done => drawingOf(done).peek().state === 'done');
    const cold = wanted.find(candidate => drawingOf(candidate).peek().cold);
    if (cold) await timeAgain(cold);
    return;
  }
  const key = keyOf(order);
  const drawing = drawingOf(order);
  const controller = new AbortController();
  running = { key, controller };
  drawing.value = { ...WAITING, state: 'drawing' };
  try {
    const result = await draw(order, {
      signal: controller.signal,
      onStep: schedule => {
        drawing.value = { ...drawing.peek(), schedule };
      },
      onPreview: media => {
        drawing.value = { ...drawing.peek(), media };
      },
    });
    const { schedule, media, seconds, forwards } = result;
    drawing.value = { state: 'done', schedule, media, seconds, forwards, result, cold: !warm.has(order.model) };
    warm.add(order.model);
  } catch (error) {
    drawing.value = controller.signal.aborted
      ? WAITING
      : { ...WAITING, state: 'failed', error: error instanceof Error ? error.message : String(error) };
  }
  running = undefined;
  forget();
  void next();
}

/** Takes the time of a drawing once more, now that nothing happens for the first time. Nothing else of it changes. */
async function timeAgain(order: Order): Promise<void> {
  const drawing = drawingOf(order);
  const controller = new AbortController();
  running = { key: keyOf(order), controller };
  const quiet = (): void => {};
  try {
    const { seconds } = await draw(order, { signal: controller.signal, onStep: quiet, onPreview: quiet });
    drawing.value = { ...drawing.peek(), seconds, cold: false };
  } catch {
    // Another time; there is a picture already.
    if (!controller.signal.aborted) drawing.value = { ...drawing.peek(), cold: false };
  }
  running = undefined;
  void next();
}

/** Draws again what failed. */
export function retry(order: Order): void {
  drawingOf(order).value = WAITING;
  void next();
}

function forget(): void {
  for (const [key, drawing] of drawings) {
    if (drawings.size <= KEPT) return;
    if (drawing.peek().state === 'done' && !wanted.some(order => keyOf(order) === key)) drawings.delete(key);
  }
}
