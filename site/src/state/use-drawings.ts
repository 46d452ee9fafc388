import type { Media } from 'ertacache/browser';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { likeness } from '../engine/engine';
import type { Order } from '../engine/types';
import { model, modelName } from './model';
import { type Drawing, drawingOf, keyOf, want } from './painter';

/** Between a change and the drawing that it asks for: a word is typed, a slider dragged. In milliseconds. */
const PAUSE = 120;

/** Has these drawn, first first, for as long as a screen shows them. */
export function useDrawings(orders: readonly Order[]): void {
  const ready = model.value?.name === modelName.value;
  const key = ready ? orders.map(keyOf).join('\n') : '';
  const first = useRef(true);
  useEffect(() => {
    if (!ready) {
      want([]);
      return undefined;
    }
    const timer = setTimeout(() => want(orders), first.current ? 0 : PAUSE);
    first.current = false;
    return () => clearTimeout(timer);
  }, [key]);
  useEffect(() => () => want([]), []);
}

/** A drawing, with the picture of the one before it for as long as it has none of its own. */
export function useShown(order: Order): Drawing & { readonly stale: boolean } {
  const drawing = drawingOf(order).value;
  const last = useRef<{ media: Media; model: string } | undefined>(undefined);
  if (drawing.media) last.current = { media: drawing.media, model: order.model };
  const kept = last.current?.model === order.model ? last.current.media : undefined;
  return { ...drawing, media: drawing.media ?? kept, stale: !drawing.media };
}

/** How near two finished drawings are. */
export function useLikeness(a: Drawing, b: Drawing): ReturnType<typeof likeness> | undefined {
  return useMemo(
    () => (a.result && b.result ? likeness(a.result.media, b.result.media) : undefined),
    [a.result, b.result],
  );
}
