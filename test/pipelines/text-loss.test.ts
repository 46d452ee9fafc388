import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { draw } from '../../src/draw/draw';
import { loadModel } from '../../src/pipelines/load';
import { describeOnBackends } from '../support/backends';

const tiny = (name: string): string => join(__dirname, '..', 'fixtures', 'pipelines', name, 'pipeline');
const LONG = `${'a red fox jumping over a lazy brown dog, '.repeat(60)}and a UNICORN`;

describeOnBackends('what text encoders do not read', () => {
  test('FLUX: CLIP stops long before T5 does, and each is told of', async () => {
    const model = await loadModel(tiny('flux-tiny'));
    const before = tf.memory().numTensors;
    const fifty = 'red fox jumping '.repeat(26);
    const losses = await model.textLoss({ prompts: [fifty], guidance: 1 });
    expect(losses.filter(({ dropped }) => dropped !== '')).toEqual([
      {
        encoder: 'text_encoder',
        prompt: fifty,
        unknown: [],
        dropped: expect.stringMatching(/jumping$/),
        limit: { count: 77, unit: 'tokens' },
      },
    ]);
    const both = await model.textLoss({ prompts: [LONG], guidance: 1 });
    expect(both.map(({ encoder, limit }) => [encoder, limit.count])).toEqual([
      ['text_encoder', 77],
      ['text_encoder_2', 512],
    ]);
    for (const { dropped } of both) expect(dropped).toMatch(/and a UNICORN$/);
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  test.each([
    ['wan-tiny', 2, 'negative'],
    ['cogvideox-tiny', 2, 'negative'],
    ['opensora-tiny', 2, undefined],
  ])('%s: prompts, and what is steered away from', async (name, guidance, negative) => {
    const model = await loadModel(tiny(name));
    const negativePrompt = negative && `${negative} ${LONG}`;
    const losses = await model.textLoss({
      prompts: [LONG],
      guidance,
      maxSequenceLength: 40,
      ...(negativePrompt && { negativePrompt }),
    });
    const cut = losses.filter(({ dropped }) => /and a unicorn$/i.test(dropped));
    expect(cut).toHaveLength(negative ? 2 : 1);
    expect(await model.textLoss({ prompts: ['a'], guidance: 1 })).toEqual([]);
    model.dispose();
  });

  test('a drawn picture says it', async () => {
    const model = await loadModel('fluent-emoji');
    const prompt = `red heart ${'zyxw '.repeat(3)}${'heart '.repeat(40)}lion`;
    const drawn = await draw({ prompt, steps: 1, policy: 'none' }, { model });
    expect(drawn.textLoss).toMatchObject([
      {
        encoder: 'text',
        prompt,
        unknown: ['zyxw'],
        dropped: expect.stringMatching(/heart lion$/),
        limit: { unit: 'words' },
      },
    ]);
    model.dispose();
  });
}, ['wasm']);
