import * as tf from '@tensorflow/tfjs-core';
import { InterruptedError, ShapeError } from '../../src/errors';
import { parseConfig } from '../../src/io/parse-config';
import { autoencoderClassNames, autoencoderOf, encoderOnly } from '../../src/models/autoencoders';
import { drawn } from '../../src/models/vae/run';
import { syntheticStore } from '../../src/weights/memory-store';
import { parameterCount } from '../../src/weights/parameters';
import { describeOnBackends } from '../support/backends';
import { maxDifference, noise, smallConfigs, withSmall } from './support';

describe('classes of autoencoders', () => {
  test.each([
    [
      'AutoencoderKL',
      83_819_683,
      {
        _class_name: 'AutoencoderKL',
        block_out_channels: [128, 256, 512, 512],
        down_block_types: Array(4).fill('DownEncoderBlock2D'),
        up_block_types: Array(4).fill('UpDecoderBlock2D'),
        latent_channels: 16,
        layers_per_block: 2,
        use_quant_conv: false,
        use_post_quant_conv: false,
        latents_mean: null,
        force_upcast: true,
      },
    ],
    ['AutoencoderKLWan', 126_892_531, { _class_name: 'AutoencoderKLWan', dropout: 0, attn_scales: [] }],
    ['AutoencoderKLCogVideoX', 215_583_907, { _class_name: 'AutoencoderKLCogVideoX' }],
    ['VideoAutoencoderPipeline', 393_341_015, { architectures: ['VideoAutoencoderPipeline'] }],
  ])('%s as published has %d parameters', (className, count, config) => {
    const model = autoencoderOf(className);
    expect(parameterCount(model.parameters(parseConfig(model.schema, config, 'config.json')))).toBe(count);
  });

  test.each([
    ['AutoencoderKL', { block_out_channels: [6, 8], norm_num_groups: 4 }, 'norm_num_groups'],
    ['AutoencoderKL', { down_block_types: ['AttnDownBlock2D'] }, 'down_block_types'],
    ['AutoencoderKLWan', { is_residual: true }, 'Wan2.2'],
    ['AutoencoderKLWan', { patch_size: 2 }, 'Wan2.2'],
    ['AutoencoderKLWan', { latents_mean: [1, 2, 3] }, 'latents_mean'],
    ['AutoencoderKLWan', { temperal_downsample: [true] }, 'temperal_downsample'],
    ['AutoencoderKLCogVideoX', { use_quant_conv: true }, 'quant convolutions'],
    ['VideoAutoencoderPipeline', { cal_loss: true }, 'cal_loss'],
    ['VideoAutoencoderPipeline', { vae_2d: { config: { act_fn: 'relu' } } }, 'vae_2d.config.act_fn'],
  ])('%s refuses %j, naming %s', (className, change, named) => {
    const { schema } = autoencoderOf(className);
    const config = { ...(smallConfigs[className] as object), ...change };
    expect(() => parseConfig(schema, config, 'config.json')).toThrow(named);
  });

  test('an unknown class is refused with the names of the known ones', () => {
    expect(() => autoencoderOf('AutoencoderTiny')).toThrow('AutoencoderTiny');
  });
});

describeOnBackends('every autoencoder', () => {
  test.each(autoencoderClassNames())('%s keeps to its sizes and its scale', async className => {
    await withSmall(className, async vae => {
      const z = noise([1, ...vae.latentShape({ frames: 1, height: 16, width: 24 })]);
      const pixels = await vae.decode(z, { frames: 1 });
      expect(pixels.shape).toEqual([1, 3, 1, 16, 24]);
      const { mean, logvar } = await vae.encode(pixels);
      expect(mean.shape).toEqual(z.shape);
      expect(logvar.shape).toEqual(z.shape);
      const scaled = vae.normalise(z);
      const back = vae.denormalise(scaled);
      expect(maxDifference(back, z)).toBeLessThan(1e-6);
      tf.dispose([z, pixels, mean, logvar, scaled, back]);
    });
  });

  test.each(autoencoderClassNames())('%s decodes without the parameters of its encoder', async className => {
    const model = autoencoderOf(className);
    const config = model.schema.parse(smallConfigs[className]);
    const table = model.parameters(config);
    const kept = table.filter(p => !encoderOnly.test(p.name));
    expect(kept.length).toBeLessThan(0.9 * table.length);
    const weights = syntheticStore(kept, 7);
    const vae = model.create(config, weights);
    const z = noise([1, vae.latentChannels, 2, 2, 2]);
    const alone = await vae.decode(z);
    const whole = await withSmall(className, full => full.decode(z));
    expect(maxDifference(alone, whole)).toBe(0);
    tf.dispose([z, alone, whole]);
    weights.dispose();
  });

  test.each(autoencoderClassNames())(
    '%s: rows of a batch do not touch each other, and nothing leaks',
    async className => {
      await withSmall(className, async vae => {
        const before = tf.memory().numTensors;
        const z = noise([2, vae.latentChannels, 2, 2, 3]);
        const both = await vae.decode(z);
        const second = tf.slice(z, 1, 1);
        const alone = await vae.decode(second);
        const row = tf.slice(both, 1, 1);
        expect(maxDifference(row, alone)).toBe(0);
        tf.dispose([z, both, second, alone, row]);
        expect(tf.memory().numTensors).toBe(before);
      });
    },
  );

  test.each(autoencoderClassNames())('%s reports its chunks and stops when asked, leaving nothing', async className => {
    await withSmall(className, async vae => {
      const z = noise([1, vae.latentChannels, 4, 3, 5]);
      const before = tf.memory().numTensors;
      const seen: { done: number; total: number }[] = [];
      const pixels = await vae.decode(z, {
        tiling: { tile: [2, 3], stride: [1, 2] },
        onChunk: progress => void seen.push(progress),
      });
      pixels.dispose();
      expect(seen.at(-1)?.done).toBe(seen.at(-1)?.total);
      expect(seen.length).toBeGreaterThan(9);

      const controller = new AbortController();
      const stopped = vae.decode(z, { signal: controller.signal, onChunk: () => controller.abort() });
      await expect(stopped).rejects.toThrow(InterruptedError);
      const failed = vae.decode(z, { onChunk: () => Promise.reject(new Error('display is gone')) });
      await expect(failed).rejects.toThrow('display is gone');
      expect(tf.memory().numTensors).toBe(before);
      z.dispose();
    });
  });

  test('shapes that do not fit are refused', async () => {
    await withSmall('AutoencoderKLWan', async vae => {
      const wrong = [noise([1, 3, 1, 2, 2]), noise([1, 2, 2, 2]), noise([1, 2, 2, 2, 2])];
      await expect(vae.decode(wrong[0]!)).rejects.toThrow(ShapeError);
      await expect(vae.decode(wrong[1]!)).rejects.toThrow('[B, 2, T, H, W]');
      await expect(vae.decode(wrong[2]!, { frames: 17 })).rejects.toThrow('does not decode to 17 frames');
      const tiling = { tile: [2, 2], stride: [3, 2] } as const;
      await expect(vae.decode(wrong[2]!, { tiling })).rejects.toThrow(ShapeError);
      tf.dispose(wrong);
    });
  });

  test('lengths of clips', async () => {
    await withSmall('AutoencoderKLWan', async vae => {
      expect(vae.latentShape({ frames: 17, height: 8, width: 12 })).toEqual([2, 5, 2, 3]);
      expect(() => vae.latentShape({ frames: 16, height: 8, width: 12 })).toThrow('16 frames');
      expect(() => vae.latentShape({ frames: 17, height: 9, width: 12 })).toThrow('multiples of 4');
    });
    await withSmall('AutoencoderKLCogVideoX', async vae => {
      expect(vae.latentShape({ frames: 49, height: 8, width: 8 })[1]).toBe(13);
      expect(vae.latentShape({ frames: 8, height: 8, width: 8 })[1]).toBe(2);
      expect(() => vae.latentShape({ frames: 6, height: 8, width: 8 })).toThrow('6 frames');
    });
    await withSmall('VideoAutoencoderPipeline', async vae => {
      expect([1, 4, 5, 6, 13].map(frames => vae.latentShape({ frames, height: 8, width: 8 })[1])).toEqual([
        1, 1, 2, 3, 5,
      ]);
      const z = noise([1, 2, 3, 2, 2]);
      const clip = await vae.decode(z, { frames: 7 });
      expect(clip.shape).toEqual([1, 3, 7, 4, 4]);
      tf.dispose([z, clip]);
    });
  });

  test('an image goes in and out without an axis of time', async () => {
    await withSmall('AutoencoderKL', async vae => {
      const z = noise([2, 2, 3, 4]);
      const image = await vae.decode(z);
      expect(image.shape).toEqual([2, 3, 6, 8]);
      const { mean, logvar } = await vae.encode(image);
      expect(mean.shape).toEqual(z.shape);
      tf.dispose([z, image, mean, logvar]);
    });
  });

  test('a draw from the posterior is mean + deviation · noise', () => {
    const [mean, logvar] = [tf.tensor1d([1, 2]), tf.tensor1d([0, 2 * Math.log(3)])];
    const result = drawn({ mean, logvar }, tf.tensor1d([0.5, -1]));
    const values = result.dataSync();
    expect(values[0]).toBeCloseTo(1.5, 5);
    expect(values[1]).toBeCloseTo(-1, 5);
    tf.dispose([mean, logvar, result]);
  });
});
