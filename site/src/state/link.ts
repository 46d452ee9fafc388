/*
 * The state that a link holds: the part of the address after `#`. An address is written by anybody, so every value is
 * bounded, and what makes no sense is left out.
 */

/** The screens, by their names in links. */
export const SCREENS = ['draw', 'schedule', 'compare', 'calibrate', 'repeat'] as const;
export type Screen = (typeof SCREENS)[number];

/** A prompt and the seed of its noise. */
export interface Pair {
  readonly prompt: string;
  readonly seed: number;
}

/** What a link can say; what is absent is as usual for the model. */
export interface Link {
  readonly screen: Screen;
  readonly model?: string | undefined;
  readonly prompt?: string | undefined;
  readonly seed?: number | undefined;
  readonly guidance?: number | undefined;
  readonly steps?: number | undefined;
  /** Forward passes of the cached picture. */
  readonly passes?: number | undefined;
  /** A schedule made by hand: `#` computed, `.` reused. */
  readonly schedule?: string | undefined;
  /** Whether the difference of the pictures is shown. */
  readonly difference?: boolean | undefined;
  /** Comparing: methods and budgets. */
  readonly methods?: readonly string[] | undefined;
  readonly budgets?: readonly number[] | undefined;
  /** Comparing: the prompts of the pairs; the first has the seed, the others those that follow. */
  readonly prompts?: readonly string[] | undefined;
  /** Calibrating: on how many pairs. */
  readonly pairs?: number | undefined;
}

export const BOUNDS = {
  prompt: 300,
  seed: [0, 2 ** 32 - 1],
  guidance: [0, 20],
  steps: [4, 100],
  pairs: [1, 64],
} as const;

/** The link that an address holds. */
export function parseLink(hash: string): Link {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const given = new URLSearchParams(query);
  const screen = SCREENS.find(name => name === path) ?? 'draw';
  const steps = whole(given.get('steps'), BOUNDS.steps);
  const schedule = given.get('schedule')?.replaceAll('1', '#').replaceAll('0', '.');
  const list = (name: string): string[] | undefined => given.get(name)?.split(',').filter(Boolean).slice(0, 20);
  return {
    screen,
    model: /^[\w.-]{1,80}$/.test(given.get('model') ?? '') ? (given.get('model') as string) : undefined,
    prompt: given.get('prompt')?.slice(0, BOUNDS.prompt),
    seed: whole(given.get('seed'), BOUNDS.seed),
    guidance: inside(given.get('guidance'), BOUNDS.guidance),
    steps,
    passes: whole(given.get('passes'), [1, BOUNDS.steps[1]]),
    schedule: schedule && /^#[#.]{3,99}$/.test(schedule) ? schedule : undefined,
    difference: given.has('difference') ? true : undefined,
    methods: list('methods')?.filter(name => /^[\w-]{1,40}$/.test(name)),
    budgets: list('budgets')?.flatMap(text => whole(text, [1, BOUNDS.steps[1]]) ?? []),
    prompts: given.has('prompts')
      ? given
          .getAll('prompts')
          .slice(0, BOUNDS.pairs[1])
          .map(text => text.slice(0, BOUNDS.prompt))
      : undefined,
    pairs: whole(given.get('pairs'), BOUNDS.pairs),
  };
}

/** The address of a link, from the `#` on. */
export function formatLink(link: Link): string {
  const query = new URLSearchParams();
  const put = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) query.set(name, String(value));
  };
  put('model', link.model);
  put('prompt', link.prompt);
  put('seed', link.seed);
  put('guidance', link.guidance);
  put('steps', link.steps);
  put('passes', link.passes);
  put('schedule', link.schedule?.replaceAll('#', '1').replaceAll('.', '0'));
  put('difference', link.difference ? 1 : undefined);
  put('methods', link.methods?.join(','));
  put('budgets', link.budgets?.join(','));
  for (const prompt of link.prompts ?? []) query.append('prompts', prompt);
  put('pairs', link.pairs);
  const text = query.toString().replaceAll('%2C', ',');
  return `#/${link.screen}${text === '' ? '' : `?${text}`}`;
}

type Range = readonly [least: number, most: number];

function inside(text: string | null, [least, most]: Range): number | undefined {
  const value = text === null || text === '' ? Number.NaN : Number(text);
  return value >= least && value <= most ? value : undefined;
}

function whole(text: string | null, range: Range): number | undefined {
  const value = inside(text, range);
  return value !== undefined && Number.isInteger(value) ? value : undefined;
}
