import { draw } from '../../src/draw/draw';
import { parseRequest } from '../../src/draw/request';
import type { Pipeline } from '../../src/sampling/pipeline';
import { command } from '../weights/command';

/** Every option that counts something, with more of it than there is time or memory for. */
const COUNTS: Readonly<Record<string, readonly string[]>> = {
  sample: ['--steps', '--num-images', '--scale', '--width', '--height', '--frames', '--max-sequence-length'],
  calibrate: ['--steps', '--pairs', '--held-out', '--batch', '--trials', '--width', '--frames'],
  compare: ['--steps', '--pairs', '--calibration-pairs', '--timed-pairs', '--batch', '--trials', '--budgets'],
  bench: ['--steps', '--batch', '--blocks', '--runs', '--width', '--height', '--frames', '--max-sequence-length'],
  info: ['--width', '--height', '--frames'],
  'policy resample': ['--steps'],
};
const options = Object.entries(COUNTS).flatMap(([name, flags]) => flags.map(flag => ({ name, flag })));

test.each(options)('$name $flag has a limit, and names it', async ({ name, flag }) => {
  for (const value of ['9e15', '9007199254740991', ...(flag === '--budgets' ? ['1-1000000000'] : [])]) {
    const { code, stderr } = await command(...name.split(' '), flag, value);
    expect(code).toBe(2);
    expect(stderr).toMatch(/whole number.* from \d to \d+/);
  }
});

test.each([
  ['steps', { steps: 1e9 }],
  ['scale', { scale: 1e4 }],
  ['size.width', { size: { width: 1e7 } }],
  ['size.frames', { size: { frames: 1e6 } }],
  ['maxSequenceLength', { maxSequenceLength: 1e9 }],
])('a request with too large a %s is refused', (field, request) => {
  expect(() => parseRequest({ prompt: 'a', ...request })).toThrow(
    new RegExp(`^The ${field.replace('.', '\\.')} of the request is wrong: must be a whole number from 1 to \\d+\\.$`),
  );
});

test('a scale that no file holds is refused before anything runs', async () => {
  const request = { prompt: 'a', scale: 64, size: { width: 1024 } };
  const model = { info: {}, prepare: () => Promise.reject(new Error('it ran')) } as unknown as Pipeline;
  await expect(draw(request, { model })).rejects.toMatchObject({
    code: 'usage',
    message: 'A side of 1024 pixels, 64 times as large, is more than 32768.',
    hint: 'Take a scale of at most 32.',
  });
});
