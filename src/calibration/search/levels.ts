/**
 * Where the computed steps of a run lie on its grid: numbers of steps from its beginning, the first 0, halves and quarters
 * of a step among them.
 */
export type Places = readonly number[];

/** The noise level at a place of a grid, straight between its own levels: the path of Euler steps is straight there. */
export function levelAt(sigmas: readonly number[], place: number): number {
  const before = Math.min(Math.floor(place), sigmas.length - 2);
  const [from, to] = [sigmas[before] as number, sigmas[before + 1] as number];
  return from + (to - from) * (place - before);
}

/**
 * The noise levels of all steps of a run: the computed ones lie at their places, the reused ones evenly between them.
 * @param sigmas base noise levels, length N + 1
 * @param reused which of the N steps are reused; the first is not
 * @param places one for each step that is computed
 * @returns falling noise levels, length N + 1
 */
export function levelsOf(sigmas: readonly number[], reused: readonly boolean[], places: Places): number[] {
  const steps = reused.length;
  const computed = reused.flatMap((r, i) => (r ? [] : [i]));
  const levels = computed.flatMap((step, k) => {
    const count = (computed[k + 1] ?? steps) - step;
    const [from, to] = [places[k] as number, places[k + 1] ?? steps];
    return Array.from({ length: count }, (_, i) => levelAt(sigmas, from + ((to - from) * i) / count));
  });
  return [...levels, sigmas.at(-1) as number];
}

/** How far a place is moved at first, and at last, in steps of the grid. */
const STRIDE = { first: 1, last: 0.25 } as const;

/**
 * Coordinate search: one place after the other is moved either way, by a step of the grid, and by a half and a quarter of it
 * once neither way is better.
 * @param start where the places are
 * @param isBetter tells whether to keep a change
 * @param trials how many changes may be judged
 */
export async function movePlaces<T>(
  start: { readonly places: Places; readonly judged: T },
  steps: number,
  {
    judge,
    isBetter,
  }: { readonly judge: (places: Places) => Promise<T>; readonly isBetter: (a: T, than: T) => boolean },
  trials: number,
): Promise<{ readonly places: Places; readonly judged: T }> {
  let best = start;
  const moves = start.places.map((): { stride: number; way: number } => ({ stride: STRIDE.first, way: 1 }));
  let left = trials;
  /** Whether moving place `k` one of its two ways was better. */
  const moved = async (k: number, move: { stride: number; way: number }): Promise<boolean> => {
    for (const way of [move.way, -move.way]) {
      const place = (best.places[k] as number) + way * move.stride;
      if (place <= (best.places[k - 1] as number) || place >= (best.places[k + 1] ?? steps)) continue;
      if (left-- <= 0) return false;
      const places = best.places.map((other, i) => (i === k ? place : other));
      const judged = await judge(places);
      if (!isBetter(judged, best.judged)) continue;
      best = { places, judged };
      move.way = way;
      return true;
    }
    return false;
  };
  while (left > 0) {
    let settled = true;
    // The last first: where the others lie changes little for them.
    for (let k = best.places.length - 1; k > 0 && left > 0; k--) {
      const move = moves[k] as { stride: number; way: number };
      if (await moved(k, move)) settled = false;
      else if (move.stride > STRIDE.last) {
        move.stride /= 2;
        settled = false;
      }
    }
    if (settled) break;
  }
  return best;
}
