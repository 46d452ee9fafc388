import { torchGenerator } from '../../random/torch-generator';
import { isBetter, type Judged, keyOf } from './tried';

/** Temperature at the start, in dB; it falls to nothing over the trials. */
const HEAT_DB = 0.3;

/**
 * Local search: computed steps are moved by up to three places; the best schedule seen wins.
 * @param fixed a step that stays computed
 */
export async function anneal(
  start: Judged,
  judged: (reused: readonly boolean[]) => Promise<Judged>,
  trials: number,
  fixed: number | undefined,
): Promise<Judged> {
  const random = torchGenerator(0);
  const seen = new Set([keyOf(start.reused)]);
  let [best, current] = [start, start];
  for (let trial = 0; trial < trials; trial++) {
    const moved = randomMove(current.reused, random.uniformDouble, seen, fixed);
    if (!moved) break;
    seen.add(keyOf(moved));
    const next = await judged(moved);
    const heat = HEAT_DB * (1 - trial / trials);
    const gain = next.quality - current.quality;
    if (gain > 0 || random.uniformDouble() < Math.exp(gain / Math.max(heat, 1e-9))) current = next;
    if (isBetter(next, best)) best = next;
  }
  return best;
}

/** A schedule not seen yet in which one computed step has moved, or nothing when none is found soon. */
function randomMove(
  reused: readonly boolean[],
  random: () => number,
  seen: ReadonlySet<string>,
  fixed: number | undefined,
): readonly boolean[] | undefined {
  const computed = reused.flatMap((r, i) => (r || i === 0 || i === fixed ? [] : [i]));
  for (let attempt = 0; attempt < 200 && computed.length > 0; attempt++) {
    const from = computed[Math.floor(random() * computed.length)] as number;
    const to = from + (random() < 0.5 ? -1 : 1) * (1 + Math.floor(random() * 3));
    if (to < 1 || to >= reused.length || !reused[to]) continue;
    const moved = reused.map((r, i) => (i === from ? true : i === to ? false : r));
    if (!seen.has(keyOf(moved))) return moved;
  }
  return undefined;
}
