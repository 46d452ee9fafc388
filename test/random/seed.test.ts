import { seedText } from '../../src/cli/parse';
import { tasksOf } from '../../src/cli/sample/tasks';
import { parseReceipt, requestOf } from '../../src/draw/receipt';
import { parseRequest } from '../../src/draw/request';
import { seedJson, seedOf, seedsFrom } from '../../src/random/seed';

const LAST = 2n ** 64n - 1n;

test('a seed is any whole number below 2⁶⁴, exact in every form', () => {
  for (const [value, seed] of [
    [0, 0],
    ['0', 0],
    [1n, 1],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['9007199254740993', 9007199254740993n],
    ['18446744073709551615', LAST],
    [LAST, LAST],
  ] as const) {
    expect(seedOf(value)).toBe(seed);
    expect(parseRequest({ prompt: '', seed: value }).seed).toBe(seed);
    expect(seedOf(seedJson(seed))).toBe(seed);
    expect(JSON.parse(JSON.stringify(seedJson(seed)))).toBe(typeof seed === 'number' ? seed : String(seed));
  }
});

test.each([-1, 1.5, 2 ** 53, Number.NaN, -1n, 2n ** 64n, '', ' ', '-1', '1e3', '007', '18446744073709551616', null])(
  'no seed is %p',
  value => {
    expect(seedOf(value)).toBeUndefined();
    if (value !== null)
      expect(() => parseRequest({ prompt: '', seed: value })).toThrow('The seed of the request is wrong');
  },
);

test('seeds are counted up, and a run that they do not reach for is refused before it begins', () => {
  const edge = Number.MAX_SAFE_INTEGER;
  expect(seedsFrom(edge, 3)).toEqual([edge, 2n ** 53n, 2n ** 53n + 1n]);
  expect(tasksOf(['lion'], { seed: edge, numImages: 2 }).map(task => task.name)).toEqual([
    'lion-9007199254740991',
    'lion-9007199254740992',
  ]);
  expect(seedsFrom(LAST, 1)).toEqual([LAST]);
  expect(() => tasksOf(['lion'], { seed: LAST, numImages: 2 })).toThrow('there are not 2 seeds');
});

test('the command line takes all of them, and the word random', () => {
  expect(seedText('18446744073709551615')).toBe(LAST);
  expect(seedText('7')).toBe(7);
  expect(seedText('random')).toBe('random');
  expect(() => seedText('-1')).toThrow('from 0 to 18446744073709551615');
});

test('a receipt keeps a seed exactly, and old ones are read', () => {
  const receipt = {
    tool: 'ertacache',
    version: '1.0.0',
    model: { id: 'x', hash: 'y', path: 'x' },
    prompt: 'lion',
    steps: 4,
    guidance: 1,
    scale: 1,
    backend: 'wasm',
    policy: null,
    schedule: '####',
    forwards: 4,
  };
  expect(parseReceipt({ ...receipt, seed: 5 }, 'x').seed).toBe(5);
  const wide = parseReceipt({ ...receipt, seed: String(LAST) }, 'x');
  expect(wide.seed).toBe(String(LAST));
  expect(requestOf(wide).seed).toBe(LAST);
});
