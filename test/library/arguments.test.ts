import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { teacache } from '../../src/cache/teacache';
import { uniform } from '../../src/cache/uniform';
import {
  calibrate,
  draw,
  drawBatch,
  ErtaError,
  encodeMedia,
  hashTensors,
  loadModel,
  measurePolicy,
  type Pipeline,
  psnr,
  readMedia,
  readPolicy,
  readReceipt,
  repeat,
  sampleLatents,
  selectBackend,
  splitPairs,
  ssim,
  withCache,
  writeMedia,
  writePolicy,
} from '../../src/entries/index';
import { testImage } from '../media/pictures';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

/** Programs without types pass anything. */
// biome-ignore lint/suspicious/noExplicitAny: what a program without types is
const untyped = (value: unknown): any => value;

async function errorOf(work: () => unknown): Promise<ErtaError> {
  try {
    await work();
  } catch (error) {
    return error as ErtaError;
  }
  throw new Error('nothing was refused');
}

/** The error is one of ours, names the argument, and says nothing of undefined. */
async function refuses(work: () => unknown, words: string | RegExp): Promise<void> {
  const error = await errorOf(work);
  expect(`${error.name}: ${error.message}`).toMatch(words);
  expect(error).toBeInstanceOf(ErtaError);
  expect(error.hint ?? '').not.toMatch(/^[^(`]*--[a-z]/);
  expect(error.message).not.toMatch(/undefined|NaN|Cannot read/);
}

const pairs = [{ prompt: 'lion', seed: 1 }];
const sigmas = [1, 0.75, 0.5, 0.25, 0];
const velocity = (x: tf.Tensor): tf.Tensor => tf.mul(x, 0.5);

describeOnBackends('wrong arguments', () => {
  let model: Pipeline;
  let latents: tf.Tensor;
  let before: number;
  beforeAll(() => {
    model = toyPipeline();
    latents = tf.ones([1, 4]);
    before = tf.memory().numTensors;
  });
  afterAll(() => {
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
    latents.dispose();
  });

  const cases: Record<string, [() => unknown, string | RegExp]> = {
    'draw of nothing': [() => draw(untyped(undefined)), 'The argument request is missing'],
    'draw of a word': [() => draw(untyped('red heart')), 'The argument request is "red heart"'],
    'draw without a prompt': [() => draw(untyped({}), { model }), 'prompt'],
    'draw with a path for a policy': [
      () => draw({ prompt: 'x' }, { model, policy: untyped('./x.json') }),
      'The argument policy is "./x.json", and must be a policy or a caching method.',
    ],
    'draw with a word for a seed': [
      () => draw({ prompt: 'x', seed: 'a' }, { model }),
      'The seed of the request is wrong',
    ],
    'draw with a name for a model': [() => draw({ prompt: 'x' }, { model: untyped('x') }), 'The argument model is "x"'],
    'draw with a number for a signal': [
      () => draw({ prompt: 'x' }, { model, signal: untyped(3) }),
      'The argument signal is 3, and must be an AbortSignal.',
    ],
    'draw with a controller for a signal': [
      () => draw({ prompt: 'x' }, { model, signal: untyped(new AbortController()) }),
      'The argument signal is an object of another kind, and must be an AbortSignal.',
    ],
    'sampleLatents with a number for a signal': [
      () => sampleLatents(velocity, latents, { sigmas, signal: untyped(3) }),
      'The argument signal is 3',
    ],
    'draw with no picture for init': [
      () => draw({ prompt: 'x' }, { model, init: untyped('a.png') }),
      'The argument media is',
    ],
    'draw with another model than the loaded one': [
      () => draw({ prompt: 'x', model: 'fluent-emoji-video' }, { model }),
      'The request names the model fluent-emoji-video, and toy was loaded.',
    ],
    'draw with a word for checkpoints': [
      () => draw({ prompt: 'x' }, { model, checkpoint: untyped('x') }),
      'The argument checkpoint is "x"',
    ],
    'a batch of one request alone': [
      () => drawBatch(untyped({ prompt: 'x' }), { model }),
      'The argument requests is an object of another kind, and must be a list of requests',
    ],
    'the schedule of nothing': [() => model.schedule(untyped(undefined)), 'The argument request is missing'],
    'more computed steps than there are': [() => uniform(5, 6), 'The argument computed is 6'],
    'half a step': [() => uniform(5.5, 2), 'The argument steps is 5.5'],
    'no computed step': [() => uniform(5, 0), 'The argument computed is 0'],
    'TeaCache without a polynomial': [
      () => teacache(untyped({ threshold: 0.1 })),
      'The argument coefficients is missing',
    ],
    'times that are no function': [
      () => sampleLatents(velocity, latents, { sigmas, timeOf: untyped(3) }),
      'The argument timeOf is 3',
    ],
    'times that are no numbers': [
      () => sampleLatents(velocity, latents, { sigmas, timeOf: () => Number.POSITIVE_INFINITY }),
      'The argument timeOf is Infinity, and must be a function that gives a number; at the noise level 1 it did not.',
    ],
    'pixels that are no array': [
      () => encodeMedia(untyped({ shape: [4, 4, 3], data: new Float32Array(48) }), 'png'),
      'The argument media is an object of another kind',
    ],
    'a picture beyond its format': [
      () => encodeMedia(testImage(1, 17_000), 'webp'),
      'WEBP has sides of 16383 pixels at most, and the picture is 17000×1.',
    ],
    'repeat of nothing': [() => repeat(untyped(undefined), { model }), 'receipt in the given object'],
    'a backend that there is not': [() => selectBackend(untyped('nope')), 'The argument request is "nope"'],
    'no backend': [() => selectBackend(untyped(undefined)), 'one of auto, gpu'],
    'withCache of no function': [() => withCache(untyped(5), none(), { sigmas }), 'The argument velocity is 5'],
    'withCache without a policy': [() => withCache(velocity, untyped(undefined)), 'The argument policy is missing'],
    'withCache of half a guided pair': [
      () => withCache(untyped({ conditional: velocity, scale: 2 }), none(), { sigmas }),
      'The argument velocity.unconditional is missing',
    ],
    'a cached function without a latent': [
      () => withCache(velocity, none(), { sigmas })(untyped(undefined), 1),
      'The argument x is missing',
    ],
    'sampleLatents without options': [
      () => sampleLatents(velocity, latents, untyped(undefined)),
      'The argument options',
    ],
    'sampleLatents without sigmas': [
      () => sampleLatents(velocity, latents, untyped({})),
      'The argument sigmas is missing',
    ],
    'sigmas that are words': [
      () => sampleLatents(velocity, latents, { sigmas: untyped(['a']) }),
      /The argument sigmas\[0\] is "a"/,
    ],
    'sigmas that rise': [() => sampleLatents(velocity, latents, { sigmas: [0, 1] }), 'Noise levels must fall'],
    'sampleLatents without noise': [
      () => sampleLatents(velocity, untyped([1, 2]), { sigmas }),
      'The argument latents is an array',
    ],
    'calibrate of nothing': [() => calibrate(untyped(undefined), untyped({})), 'The argument model is missing'],
    'calibrate without options': [() => calibrate(model, untyped(undefined)), 'The argument options is missing'],
    'calibrate without a schedule': [
      () => calibrate(model, untyped({ pairs, steps: 6, guidance: 2 })),
      'The argument schedule is missing',
    ],
    'calibrate without pairs': [
      () => calibrate(model, untyped({ steps: 6, guidance: 2 })),
      'The argument pairs is missing',
    ],
    'calibrate of a function without runs': [
      () => calibrate(velocity, untyped({ sigmas })),
      'The argument runs is missing',
    ],
    'measurePolicy without a policy': [
      () => measurePolicy(model, untyped('x.json'), pairs, { batch: 1 }),
      'The argument policy is "x.json"',
    ],
    'splitPairs of a word': [() => splitPairs(untyped('lion'), 1, 1), 'The argument prompts is "lion"'],
    'splitPairs without numbers': [() => untyped(splitPairs)(['a', 'b']), 'The argument calibration is missing'],
    'loadModel of a number': [() => loadModel(untyped(5)), 'The argument nameOrPath is 5'],
    'readMedia of a number': [() => readMedia(untyped(5)), 'The argument path is 5'],
    'readReceipt of nothing': [() => readReceipt(untyped(undefined)), 'The argument path is missing'],
    'writeMedia of a number': [() => writeMedia('x.png', untyped(5)), 'The argument media is 5'],
    'writeMedia to a number': [() => writeMedia(untyped(5), untyped(5)), 'The argument path is 5'],
    'encodeMedia in no format': [() => encodeMedia(untyped(5), untyped('bmp')), 'The argument format is "bmp"'],
    'psnr of numbers': [() => psnr(untyped(1), untyped(2)), 'The argument media is 1'],
    'ssim of nothing': [() => ssim(untyped(undefined), untyped(undefined)), 'The argument media is missing'],
    'readPolicy of a number': [() => readPolicy(untyped(5)), 'The argument path is 5'],
    'writePolicy of a word': [() => writePolicy('x.json', untyped('policy')), 'The argument policy is "policy"'],
    'hashTensors of a word': [() => hashTensors(untyped('x')), 'The argument tensors is "x"'],
  };
  test.each(Object.entries(cases))('%s is told by the name of the argument', (_, [work, words]) =>
    refuses(work, words),
  );

  test('a model may be disposed twice, and says so when it is used afterwards', async () => {
    const own = toyPipeline();
    const request = { prompts: ['lion'], seeds: [1], steps: 3, guidance: 2 };
    const job = await own.prepare(request);
    own.dispose();
    own.dispose();
    const words = 'The model "toy" was used after it was disposed.';
    await refuses(() => draw({ prompt: 'lion' }, { model: own }), words);
    await refuses(() => own.prepare(request), words);
    await refuses(() => own.decode(job.latents), words);
    expect(() => job.branches[0]!.evaluate(job.latents, 1)).toThrow(words);
    job.release();
  });

  test('a model that is disposed in the middle of a run ends it with that error, and nothing is left', async () => {
    const own = toyPipeline();
    const work = draw({ prompt: 'lion', steps: 4 }, { model: own, onStep: () => own.dispose() });
    await expect(work).rejects.toThrow('was used after it was disposed');
    expect(tf.memory().numTensors).toBe(before);
  });
});
