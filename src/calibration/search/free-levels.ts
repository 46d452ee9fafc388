import { type FittedRectification, fitRectifications } from '../fit';
import { worstQuarter } from '../quality';
import type { Reference } from '../reference';
import { levelAt, levelsOf, movePlaces, type Places } from './levels';
import { isBetter, type Judged, judge, type SearchOptions, type Tried } from './tried';

/** The same schedule with its computed steps moved to the noise levels that serve it best. */
export async function freeLevels(
  references: readonly Reference[],
  found: Tried,
  trials: number,
  options: SearchOptions,
): Promise<Tried> {
  const { sigmas } = (references[0] as Reference).job;
  const { reused } = found;
  const fitOn = async (schedule: readonly boolean[], levels: readonly number[]): Promise<Tried> => {
    const moved = { ...options, sigmas: levels, fromFirst: true };
    const [fitted] = await fitRectifications(references, [schedule], options.rectify, 'scalar', moved);
    return { ...(fitted as FittedRectification), reused, levels };
  };
  const judgeSteady = (tried: Tried): Judged => {
    const { quality, ...judged } = judge(tried, options);
    return { ...judged, quality: (quality + worstQuarter(tried.errors)) / 2 };
  };
  // Reused steps between two computed ones add up to one step of the same weights: levels are judged without them.
  const jump = async (places: Places): Promise<Judged> => {
    const levels = [...places.map(place => levelAt(sigmas, place)), sigmas.at(-1) as number];
    return judgeSteady(
      await fitOn(
        places.map(() => false),
        levels,
      ),
    );
  };
  const places = reused.flatMap((r, i) => (r ? [] : [i]));
  const start = { places, judged: await jump(places) };
  const best = await movePlaces(start, reused.length, { judge: jump, isBetter }, trials);
  if (best === start) return found;
  const moved = await fitOn(reused, levelsOf(sigmas, reused, best.places));
  return isBetter(judgeSteady(moved), judgeSteady(found)) ? moved : found;
}
