import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { relativeRms, verifyCase } from '../../src/lab/verify/verify';
import { modulationInputs } from '../../src/models/flux/chroma/approximator';
import { chromaConfig } from '../../src/models/flux/chroma/config';
import type { ChromaCondition } from '../../src/models/flux/chroma/transformer';
import { loadDenoiser } from '../../src/models/load-denoiser';
import type { ComputeType } from '../../src/nn/bfloat16';
import { range } from '../../src/nn/positions';
import { release } from '../../src/nn/scope';
import { forward } from '../../src/transformer/run';
import { openModelFolderAt } from '../../src/weights/disk';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';
import { goldenCases } from './golden';
import { values } from './support';

const transformer = join(__dirname, '../fixtures/pipelines/chroma-tiny/pipeline/transformer');
const imgIds = range(6).map(i => [0, Math.floor(i / 3), i % 3]);

interface Options {
  offload?: boolean;
  dtype?: ComputeType;
  /** Rows of the batch, two by default. */
  rows?: number;
  /** Tokens of text, which are the first of always the same. */
  tokens?: number;
  mask?: number[][];
}

/** The prediction of the small model for six tokens of an image, row by row. */
async function output({ offload = false, dtype, rows = 2, tokens = 7, mask }: Options = {}): Promise<Float32Array[]> {
  const component = await openModelFolderAt(transformer);
  const { denoiser } = await loadDenoiser(component, { offload, dtype });
  const latent = tf.tidy(() => tf.slice(values([2, 6, 16]), 0, rows));
  const encoderHiddenStates = tf.tidy(() => tf.slice(values([2, 7, 32]), [0, 0, 0], [rows, tokens, 32]));
  const condition: ChromaCondition = { encoderHiddenStates, imgIds, ...(mask && { mask }) };
  const context = denoiser.prepare(condition, latent.shape);
  const result = await forward(denoiser, latent, 400, context);
  const data = result.dataSync<'float32'>();
  release([latent, encoderHiddenStates, result, context]);
  denoiser.weights.dispose();
  if (!offload) await component.source.close();
  return range(rows).map(row => data.slice((row * data.length) / rows, ((row + 1) * data.length) / rows));
}

describeOnBackends('Chroma', backend => {
  test('in memory or from disk, the output is the same, and nothing leaks', async () => {
    const before = tf.memory().numTensors;
    expect(await output({ offload: true })).toEqual(await output());
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a token that is masked is as if it were not there', async () => {
    const masked = await output({ mask: [7, 4].map(length => range(13).map(i => (i < length || i >= 7 ? 1 : 0))) });
    const [whole] = await output({ rows: 1 });
    expect(maxAbsDifference(masked[0]!, whole!)).toBeLessThan(1e-5);
    const short = await output({ tokens: 4 });
    expect(maxAbsDifference(masked[1]!, short[1]!)).toBeLessThan(1e-5);
    expect(maxAbsDifference(masked[0]!, short[0]!)).toBeGreaterThan(1e-3);
  });

  if (backend === 'native') {
    test('in bfloat16 it is near float32, in memory and from disk alike', async () => {
      const [exact, resident, streamed] = [
        await output({ rows: 1 }),
        await output({ rows: 1, dtype: 'bfloat16' }),
        await output({ rows: 1, dtype: 'bfloat16', offload: true }),
      ];
      expect(streamed).toEqual(resident);
      expect(resident).not.toEqual(exact);
      expect(relativeRms(resident[0]!, exact[0]!)).toBeLessThan(10 * 2 ** -9);
    });

    test.each(goldenCases('transformers').filter(({ name }) => name.startsWith('chroma')))(
      '$name in bfloat16 is within the tolerance that verify has',
      async ({ folder }) => {
        const report = await verifyCase(folder, { dtype: 'bfloat16' });
        expect(report.comparisons.filter(comparison => !comparison.passed)).toEqual([]);
        expect(report.unchecked).toEqual([]);
      },
    );
  }

  test('the numbers of modulations turn by the roundings of the reference', () => {
    const config = chromaConfig.parse({ _class_name: 'ChromaTransformer2DModel' });
    const last = tf.tidy(() => tf.slice(modulationInputs(config, tf.tensor1d([0])), [0, 343, 32], [1, 1, 32]));
    // Row 343 of the table that ChromaTransformer2DModel keeps for the published sizes, first and last of each half.
    const table = last.dataSync();
    last.dispose();
    expect([0, 1, 15, 16, 17, 31].map(i => table[i]!.toFixed(4))).toEqual([
      '0.6105',
      '-0.2809',
      '-0.2629',
      '0.7920',
      '0.9597',
      '-0.9648',
    ]);
  });
});
