import { writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { loadBackend } from '../../src/engine/load';
import type { Candidate } from '../../src/engine/locate';
import type { EngineKind } from '../../src/engine/types';
import { hasFused } from '../../src/nn/fused';
import { scratchFolder } from '../media/pictures';

jest.mock('../../src/engine/fused', () => ({ usableFused: jest.fn(async () => ['swish']) }));
const { usableFused } = jest.requireMock<{ usableFused: jest.Mock }>('../../src/engine/fused');
const scratch = scratchFolder();

test('a TensorFlow that was loaded for its GPU, and has none, has its own operations tried on the processor', async () => {
  const module = scratch.path('load.cjs');
  const cpu = JSON.stringify(require.resolve('@tensorflow/tfjs-backend-cpu'));
  writeFileSync(
    module,
    `module.exports = tf => {
      const backend = new (require(${cpu}).MathBackendCPU)();
      backend.binding = { TF_Version: '2.0' };
      tf.registerBackend('tensorflow', () => backend);
      return {};
    };`,
  );
  const load = (kind: EngineKind): Promise<string> => {
    const locate: Candidate['locate'] = () => ({ backend: 'tensorflow', module, link: true });
    return loadBackend({ kind, backend: 'tensorflow', source: 'linked', locate }, { env: {}, verbose: true });
  };
  await expect(load('gpu')).rejects.toThrow('TensorFlow (linked) found no usable GPU');
  expect(usableFused).not.toHaveBeenCalled();
  expect(await load('native')).toBe('native (TensorFlow 2.0, linked)');
  await tf.setBackend('tensorflow');
  expect(hasFused('swish')).toBe(true);
  await load('native');
  expect(usableFused).toHaveBeenCalledTimes(1);
});
