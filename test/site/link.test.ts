import fc from 'fast-check';
import { BOUNDS, formatLink, type Link, parseLink, SCREENS } from '../../site/src/state/link';

const links: fc.Arbitrary<Link> = fc.record(
  {
    screen: fc.constantFrom(...SCREENS),
    model: fc.constantFrom('fluent-emoji', 'fluent-emoji-video'),
    prompt: fc.string({ unit: 'grapheme', maxLength: 40 }),
    seed: fc.integer({ min: 0, max: BOUNDS.seed[1] }),
    guidance: fc.integer({ min: 0, max: 40 }).map(n => n / 2),
    steps: fc.integer({ min: 4, max: 100 }),
    passes: fc.integer({ min: 1, max: 100 }),
    schedule: fc.string({ unit: fc.constantFrom('#', '.'), minLength: 3, maxLength: 60 }).map(text => `#${text}`),
    difference: fc.constant(true),
    methods: fc.array(fc.constantFrom('ertacache', 'uniform', 'taylorseer-lite'), { minLength: 1, maxLength: 4 }),
    budgets: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 }),
    prompts: fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { minLength: 1, maxLength: 5 }),
    pairs: fc.integer({ min: 1, max: 64 }),
  },
  { requiredKeys: ['screen'] },
);

const given = (link: Link): object =>
  Object.fromEntries(Object.entries(link).filter(([, value]) => value !== undefined));

test('an address holds the whole state', () => {
  fc.assert(
    fc.property(links, link => {
      expect(given(parseLink(formatLink(link)))).toEqual(given(link));
    }),
  );
});

test('whatever an address says, the state is within its bounds', () => {
  fc.assert(
    fc.property(fc.string(), fc.webQueryParameters(), (path, query) => {
      const { screen, steps, seed, schedule } = parseLink(`#/${path}?${query}`);
      expect(SCREENS).toContain(screen);
      if (steps !== undefined) expect(steps).toBeLessThanOrEqual(BOUNDS.steps[1]);
      if (seed !== undefined) expect(Number.isSafeInteger(seed)).toBe(true);
      if (schedule !== undefined) expect(schedule).toMatch(/^#[#.]+$/);
    }),
  );
});

test.each([
  ['#/nowhere', { screen: 'draw' }],
  ['', { screen: 'draw' }],
  ['#/draw?seed=-1&steps=1e9&guidance=NaN&schedule=0101&model=../../etc', { screen: 'draw' }],
  ['#/draw?seed=7.5&steps=30.5&budgets=15,x,10', { screen: 'draw', budgets: [15, 10] }],
  ['#/schedule?schedule=1011&seed=4', { screen: 'schedule', schedule: '#.##', seed: 4 }],
])('%s', (hash, link) => {
  expect(given(parseLink(hash))).toEqual(link);
});
