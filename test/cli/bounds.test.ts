import { usualBoundPairs } from '../../src/cli/calibrate/bounds';

test('a bound is found without being asked for where it does not make a trial many times as long', () => {
  expect(usualBoundPairs({ parameters: 5e6 }, 16)).toBe(128);
  expect(usualBoundPairs({ parameters: 5e6 }, 15)).toBe(0);
  expect(usualBoundPairs({ parameters: 12e9 }, 96)).toBe(0);
});
