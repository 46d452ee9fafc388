import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { Method, methodCalled } from '../../src/cache/registry';
import { uniform } from '../../src/cache/uniform';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';
import { sampleLatents } from '../../src/sampling/velocity/sample-latents';
import type { Velocity } from '../../src/sampling/velocity/velocity';
import { describeOnBackends } from '../support/backends';
import { snippets } from './pages';

/** A copy of the sources within the repository, so that it finds the packages it needs. */
const copy = join(packageRoot(), 'dist', `caching-method-${process.pid}`);
const noted = (kind: string) => {
  const found = snippets().find(s => s.note?.startsWith(`${kind}: `));
  if (!found) throw new Error(`The page about caching methods has no block marked "${kind}".`);
  return { path: found.note!.slice(kind.length + 2), text: found.text };
};

beforeAll(() => {
  cpSync(join(packageRoot(), 'src'), join(copy, 'src'), { recursive: true });
  const project = { extends: '../../tsconfig.json', include: [], files: ['src/cache/registry.ts'] };
  writeFileSync(join(copy, 'tsconfig.json'), JSON.stringify(project));
  const [file, line] = [noted('file'), noted('line')];
  writeFileSync(join(copy, file.path), file.text);
  const registry = join(copy, line.path);
  const text = readFileSync(registry, 'utf8');
  const list = 'export const methods: readonly Method[] = [\n';
  if (!text.includes(list)) throw new Error('The registry has no list of methods.');
  expect(line.text.trim().split('\n')).toHaveLength(1);
  const withImport = `import { extrapolated } from './extrapolated';\n${text}`;
  writeFileSync(registry, withImport.replace(list, `${list}${line.text}`));
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

test('what the page says is well typed', async () => {
  const tsc = join(packageRoot(), 'node_modules/typescript/bin/tsc');
  const { stdout } = await run(process.execPath, [tsc, '-p', copy], { cwd: copy });
  expect(stdout).toBe('');
}, 120_000);

describeOnBackends('the method that the page adds', () => {
  test('is found by its name, computes what it is told to, and differs from plain reuse', async () => {
    const registry = require(join(copy, 'src/cache/registry.ts')) as { methodCalled: typeof methodCalled };
    const method: Method = registry.methodCalled('extrapolated');
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
