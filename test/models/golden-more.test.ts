import * as tf from '@tensorflow/tfjs-core';
import { parseConfig } from '../../src/io/parse-config';
import type { GoldenCase } from '../../src/lab/verify/golden-case';
import { familyOf } from '../../src/models/families';
import { release } from '../../src/nn/scope';
import { openSafetensorsAt } from '../../src/weights/disk';
import { loadStore } from '../../src/weights/load';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';
import { goldenCase } from './golden';

async function modelOf(golden: GoldenCase) {
  const known = familyOf(golden.className);
  const config = parseConfig(known.schema, golden.config, golden.name);
  const source = await openSafetensorsAt(`${golden.folder}/weights.safetensors`);
  const weights = await loadStore(source, known.parameters(config), { blocks: known.blockNames(config) });
  await source.close();
  return { model: known.create(config, weights), weights };
}

function input(golden: GoldenCase, name: string): tf.Tensor {
  const { data, shape } = golden.inputs.get(name)!;
  return tf.tensor(data, [...shape]);
}

describeOnBackends('beside the golden outputs', () => {
  test('the rotary tables of CogVideoX 5B, which the reference is given, are made alike', async () => {
    const golden = goldenCase('transformers', 'cogvideox_5b');
    const { model, weights } = await modelOf(golden);
    const encoderHiddenStates = input(golden, 'encoder_hidden_states');
    const context = model.prepare({ encoderHiddenStates }, golden.inputs.get('hidden_states')!.shape) as Record<
      'cos' | 'sin',
      tf.Tensor
    >;
    const textTokens = encoderHiddenStates.shape[1]!;
    for (const name of ['cos', 'sin'] as const) {
      const ofVideo = tf.slice(context[name], [textTokens, 0]).dataSync();
      expect(maxAbsDifference(ofVideo, golden.inputs.get(`image_rotary_emb.${name}`)!.data)).toBeLessThan(2e-6);
    }
    release(context);
    weights.dispose();
  });

  test.each(['wan_video_nonsquare', 'cogvideox_2b_resized'])(
    'TeaCache compares the time embedding of %s',
    async name => {
      const golden = goldenCase('transformers', name);
      const { model, weights } = await modelOf(golden);
      const latent = input(golden, 'hidden_states');
      const context = model.prepare({ encoderHiddenStates: input(golden, 'encoder_hidden_states') }, latent.shape);
      const stream = model.embed(latent, [...golden.inputs.get('timestep')!.data], context);
      const signal = await model.signal(stream);
      const error = maxAbsDifference(signal.dataSync(), golden.expected.get('temb')!.data);
      expect(error).toBeLessThanOrEqual(golden.tolerance('temb'));
      release([signal, stream, context]);
      weights.dispose();
    },
  );
});
