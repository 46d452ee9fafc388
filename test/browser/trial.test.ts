import { objectionTo } from '../../src/browser/worker/trial';
import { image } from '../../src/media/pixels';

const grey = (level: number) => image(new Float32Array(12).fill(level), 2, 2);
const usual = { seconds: 0.1, media: grey(0.5) };

test('a backend is taken where it is faster and draws the same', () => {
  expect(objectionTo({ seconds: 0.05, media: grey(0.501) }, usual)).toBeUndefined();
  expect(objectionTo({ seconds: 0.09, media: grey(0.5) }, usual)).toBe('a step takes 90 ms, and 100 ms on WebAssembly');
  expect(objectionTo({ seconds: 0.01, media: grey(0.6) }, usual)).toBe('it draws another picture');
  expect(objectionTo({ seconds: 0.01, media: grey(Number.NaN) }, usual)).toBe('it draws another picture');
});
