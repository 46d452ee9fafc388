import * as tf from '@tensorflow/tfjs-core';
import type { Method } from '../../src/cache/registry';
import { uniform } from '../../src/cache/uniform';
import { sampleLatents } from '../../src/sampling/velocity/sample-latents';
import type { Velocity } from '../../src/sampling/velocity/velocity';
import { describeOnBackends } from '../support/backends';
import { type CopiedSources, copiedSources } from './copied-sources';
import { placedBlocks } from './pages';

let copy: CopiedSources;
const page = 'add-a-caching-method';
const registry = 'src/cache/registry.ts';

beforeAll(() => {
  copy = copiedSources('caching-method');
  for (const { path, text } of placedBlocks(page, 'file')) copy.write(path, text);
  const [line] = placedBlocks(page, 'line');
  expect(line!.path).toBe(registry);
  expect(line!.text.trim().split('\n')).toHaveLength(1);
  const list = 'export const methods: readonly Method[] = [\n';
  copy.replace(registry, list, `import { extrapolated } from './extrapolated';\n${list}${line!.text}`);
});
afterAll(() => copy.remove());

test('what the page says is well typed', async () => {
  expect(await copy.typeErrors([registry])).toBe('');
}, 120_000);

describeOnBackends('the method that the page adds', () => {
  test('is found by its name, computes what it is told to, and differs from plain reuse', async () => {
    const { methodCalled } = copy.load<typeof import('../../src/cache/registry')>('cache/registry');
    const method: Method = methodCalled('extrapolated');
    if (method.kind !== 'scheduled') throw new Error(`It is ${method.kind}.`);
    const before = tf.memory().numTensors;
    const noise = tf.randomNormal([4, 3], 0, 1, 'float32', 1);
    const velocity: Velocity = (x, t) => tf.mul(tf.sin(tf.add(x, 2 * t)), 1.5 - t);
    const sigmas = Array.from({ length: 13 }, (_, i) => 1 - i / 12);
    const [whole, reused, extrapolated] = [
      await sampleLatents(velocity, noise, { sigmas }),
      await sampleLatents(velocity, noise, { sigmas, policy: uniform(12, 6, 'velocity') }),
      await sampleLatents(velocity, noise, { sigmas, policy: method.create({ steps: 12, computed: 6 }) }),
    ];
    expect(extrapolated.schedule).toBe('#.#.#.#.#.#.');
    expect(extrapolated.forwards).toBe(6);
    const error = (latents: tf.Tensor): number =>
      tf.tidy(() => tf.mean(tf.squaredDifference(latents, whole.latents)).dataSync<'float32'>()[0]!);
    expect(error(extrapolated.latents)).toBeLessThan(error(reused.latents));
    tf.dispose([noise, whole.latents, reused.latents, extrapolated.latents]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
