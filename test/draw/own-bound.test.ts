import { ownBound } from '../../src/draw/own-bound';
import type { Policy } from '../../src/policy/data';

const bound = { psnr: 50, confidence: 0.9 };
const info = { prompts: ['red heart', 'ghost'] };
const policy = (listed: boolean): Pick<Policy, 'data'> =>
  ({ data: { bound: { pairs: 128, ...(listed && { listed: true }) } } }) as unknown as Pick<Policy, 'data'>;

test('a bound that was found with the listed prompts is told for these alone', () => {
  const told = (prompt: string, listed = true, negativePrompt?: string) =>
    ownBound(bound, { prompt, ...(negativePrompt !== undefined && { negativePrompt }) }, policy(listed), info);
  expect(told('red heart')).toBe(bound);
  expect(told(' Ghost')).toBe(bound);
  expect(told('ghost red heart')).toBeNull();
  expect(told('ghost', true, 'blue')).toBeNull();
  expect(told('ghost red heart', false)).toBe(bound);
  expect(ownBound(null, { prompt: 'ghost' }, policy(true), info)).toBeNull();
  expect(ownBound(undefined, { prompt: 'ghost' }, policy(false), info)).toBeNull();
});

test('a bound is told where what was steered away from and the number type are those it was found with', () => {
  const told = (found: object, negativePrompt?: string, dtype?: 'bfloat16') =>
    ownBound(
      bound,
      { prompt: 'ghost', ...(negativePrompt !== undefined && { negativePrompt }) },
      { data: { bound: { pairs: 128, ...found } } } as unknown as Pick<Policy, 'data'>,
      { ...info, ...(dtype && { dtype }) },
    );
  expect(told({})).toBe(bound);
  expect(told({}, '')).toBe(bound);
  expect(told({}, 'blur')).toBeNull();
  expect(told({ negative: 'blur' })).toBeNull();
  expect(told({ negative: 'blur', listed: true }, 'blur')).toBe(bound);
  expect(told({ negative: null })).toBe(bound);
  expect(told({ negative: null }, 'blur')).toBe(bound);
  expect(told({}, undefined, 'bfloat16')).toBeNull();
  expect(told({ dtype: 'bfloat16' }, undefined, 'bfloat16')).toBe(bound);
  expect(told({ dtype: 'bfloat16' })).toBeNull();
});
