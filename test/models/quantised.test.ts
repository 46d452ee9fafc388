import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { loadCase } from '../../src/lab/verify/load-case';
import { produceForward } from '../../src/lab/verify/transformers';
import { loadDenoiser } from '../../src/models/load-denoiser';
import { openTensorsAt, readConfigAt } from '../../src/weights/disk';
import { describeOnBackends } from '../support/backends';

const folder = join(__dirname, '../fixtures/quantized');
const cases = [
  ['gguf_flux_kquants', 'model.gguf'],
  ['fp8_flux_scaled', 'model.safetensors'],
] as const;

describeOnBackends('quantised weights', () => {
  test.each(cases)(
    '%s: kept as they are stored, in memory or on disk, and the same picture of both',
    async (name, file) => {
      const golden = await loadCase(join(folder, name));
      const outputs: number[][] = [];
      const held: number[] = [];
      for (const offload of [false, true]) {
        const before = tf.memory().numTensors;
        const source = await openTensorsAt(join(folder, name, file));
        const stored = source.names
          .filter(tensor => /(double|single)_blocks/.test(tensor))
          .reduce((sum, tensor) => sum + source.entry(tensor).bytes, 0);
        const config = await readConfigAt(join(folder, name, 'config.json'));
        const { denoiser, bytes, className } = await loadDenoiser({ ...config, source, where: file }, { offload });
        if (!offload) await source.close();
        held.push(bytes - (offload ? 0 : stored));
        // Twice: nobody writes into what is held.
        for (let pass = 0; pass < 2; pass++) {
          await produceForward({ ...golden, className }, denoiser, (output, value) => {
            if (output === 'sample') outputs.push([...(value as tf.Tensor).dataSync()]);
          });
        }
        denoiser.weights.dispose();
        expect(tf.memory().numTensors).toBe(before);
      }
      expect(outputs).toHaveLength(4);
      for (const output of outputs) expect(output).toEqual(outputs[0]);
      // In memory are the bytes of the file's blocks, and what a store on disk holds too, but for what it reads into.
      expect(held[0]).toBeLessThan(held[1]!);
    },
  );
});
