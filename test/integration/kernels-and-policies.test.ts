import { draw } from '../../src/draw/draw';
import type { Image } from '../../src/media/pixels';
import { psnr } from '../../src/metrics/psnr';
import { mean } from '../../src/metrics/statistics';
import type { KernelLevel } from '../../src/nn/wasm/module';
import { hasLevel, withKernels } from '../../src/nn/wasm/run';
import { loadModel } from '../../src/pipelines/load';
import { policiesOnDisk } from '../../src/policy/on-disk';
import { describeOnBackends } from '../support/backends';

const PAIRS = [
  { prompt: 'red heart', seed: 1 },
  { prompt: 'cat face', seed: 2 },
];
/** What a policy's figure may differ by, in dB. */
const TOLERANCE = 0.1;

describeOnBackends('the shipped policy', () => {
  test('is as faithful with the kernels as without', async () => {
    const model = await loadModel('fluent-emoji');
    const figure = (level: KernelLevel | undefined): Promise<number> =>
      withKernels(level, async () => {
        const likeness: number[] = [];
        for (const pair of PAIRS) {
          const whole = await draw({ ...pair, policy: 'none' }, { model, policies: policiesOnDisk });
          const cached = await draw(pair, { model, policies: policiesOnDisk });
          expect(cached.policy).toBeDefined();
          likeness.push(psnr(whole.media as Image, cached.media as Image));
        }
        return mean(likeness);
      });
    try {
      const without = await figure(undefined);
      expect(without).toBeGreaterThan(30);
      for (const level of ['plain', 'fma'] as const) {
        if (!(await hasLevel(level))) continue;
        expect(Math.abs((await figure(level)) - without)).toBeLessThan(TOLERANCE);
      }
    } finally {
      model.dispose();
    }
  }, 600_000);
}, ['wasm']);
