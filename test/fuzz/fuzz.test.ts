import { fuzz } from './check';
import { targets } from './targets';

/** So many inputs each take seconds; the long form is bench/fuzz.ts. */
const COUNT = 150;
const SEED = 1;
/** Seconds: more is a hang, also on a slow machine. How fast it is, bench/fuzz.ts asks. */
const HANG = 10;

// What is told beside a result is not of interest here, and jest makes a page of each.
beforeAll(() => void jest.spyOn(console, 'warn').mockImplementation(() => {}));
afterAll(() => jest.restoreAllMocks());

test.each(targets.map(t => [t.name, t] as const))('%s: sound input passes', async (_, { run, sound }) => {
  await run(sound as never);
});

test.each(targets.map(t => [t.name, t] as const))(
  '%s: broken input ends in an error of the library, soon, or passes',
  async (_, target) => fuzz(target, Math.ceil(COUNT / (target.cost ?? 1)), SEED, HANG),
  120_000,
);
