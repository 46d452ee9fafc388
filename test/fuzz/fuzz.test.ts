import { fuzz } from './check';
import { targets } from './targets';

/** So many inputs each take seconds; the long form is bench/fuzz.ts. */
const COUNT = 150;
const SEED = 1;

test.each(targets.map(t => [t.name, t] as const))('%s: sound input passes', async (_, { run, sound }) => {
  await run(sound as never);
});

test.each(targets.map(t => [t.name, t] as const))(
  '%s: broken input ends in an error of the library, soon, or passes',
  async (_, target) => fuzz(target, COUNT, SEED),
  120_000,
);
