import type { Pair, PromptGroup } from '../policy/pair';
import type { Pipeline, ScheduleRequest } from '../sampling/pipeline';
import { steersByText } from '../sampling/steering';

/** Kinds of prompts that people write and lists of captions do not hold. */
export const unusualGroups = ['empty', 'unknown', 'background', 'long', 'negative'] as const satisfies PromptGroup[];

const COLOURS = ['red', 'blue', 'black', 'white', 'green', 'yellow'] as const;
/** Prompts that a long one is put together from. */
const LONG = 4;
/** So many pairs in a row have one negative prompt, for a batch has but one. */
const SAME_NEGATIVE = 8;

/**
 * Pairs of one unusual kind, made of ordinary ones.
 * @param pairs where prompts and seeds are taken from
 * @param group empty prompts; words that no vocabulary holds; a coloured background; several prompts in one; or a negative
 *   prompt, which is another pair's prompt
 * @param from which of the pairs is the first; they are taken round and round
 * @param count how many
 */
export function unusualPairs(pairs: readonly Pair[], group: PromptGroup, from: number, count: number): Pair[] {
  const promptAt = (i: number): string => (pairs[i % pairs.length] as Pair).prompt;
  const promptOf = (i: number, seed: number): Pick<Pair, 'prompt' | 'negative'> => {
    const prompt = promptAt(i);
    switch (group) {
      case 'ordinary':
        return { prompt };
      case 'empty':
        return { prompt: '' };
      case 'unknown':
        return { prompt: `zqx${seed.toString(36)} vrk${(seed * 7).toString(36)}` };
      case 'background':
        return { prompt: `${prompt} ${COLOURS[i % COLOURS.length]} background` };
      case 'long':
        return { prompt: Array.from({ length: LONG }, (_, k) => promptAt(i + k)).join(', ') };
      case 'negative':
        return { prompt, negative: promptAt(from + count + Math.floor((i - from) / SAME_NEGATIVE)) };
    }
  };
  return Array.from({ length: count }, (_, n) => {
    const { seed, negative } = pairs[(from + n) % pairs.length] as Pair;
    return { ...(negative !== undefined && { negative }), ...promptOf(from + n, seed), seed, group };
  });
}

/**
 * Whether pairs of a mixture may have negative prompts: where these do something, and turn no guidance on that the other
 * pairs are without. Nothing is loaded.
 */
export function mayBeSteered(pipeline: Pick<Pipeline, 'schedule'>, run: ScheduleRequest): boolean {
  const steering = (asked: ScheduleRequest): string => JSON.stringify(pipeline.schedule(asked).steering ?? null);
  return steersByText(pipeline, run) && steering(run) === steering({ ...run, negativePrompt: 'blur' });
}

/**
 * A mixture to calibrate on: the last of the pairs make room for unusual ones, as many of each kind as of the others, or
 * one less. Their seeds stay.
 * @param share of the pairs that are unusual, 0 … 1
 * @param steered whether negative prompts do something, as `mayBeSteered` says
 */
export function mixed(pairs: readonly Pair[], share: number, steered: boolean): Pair[] {
  const groups = unusualGroups.filter(group => group !== 'negative' || steered);
  const ordinary = pairs.length - Math.round(share * pairs.length);
  const unusual = pairs.length - ordinary;
  // Those that do not go into equal parts are of the first kinds.
  const upTo = (g: number): number => ordinary + Math.ceil((g * unusual) / groups.length);
  return [
    ...pairs.slice(0, ordinary),
    ...groups.flatMap((group, g) => unusualPairs(pairs, group, upTo(g), upTo(g + 1) - upTo(g))),
  ];
}
