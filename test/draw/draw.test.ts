import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-core';
import { uniform } from '../../src/cache/uniform';
import { calibrate } from '../../src/calibration/calibrate';
import { draw, repeat } from '../../src/draw/draw';
import { parseRequest } from '../../src/draw/request';
import { InterruptedError, PolicyError, UsageError } from '../../src/errors';
import { encodeMedia, type FileFormat } from '../../src/media/encode';
import { dense, imageSize } from '../../src/media/pixels';
import { writeMedia } from '../../src/media/write';
import type { Policy } from '../../src/policy/data';
import { policyHash } from '../../src/policy/hash';
import { policiesInMemory } from '../../src/policy/source';
import type { Pipeline } from '../../src/sampling/pipeline';
import { scratchFolder, testImage } from '../media/pictures';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

const scratch = scratchFolder();
const request = { prompt: 'red heart', seed: 3 };

describeOnBackends('draw', backend => {
  let model: Pipeline;
  let policy: Policy;
  beforeAll(async () => {
    model = toyPipeline();
    const { steps, guidance } = model.info.defaults;
    const pairs = [
      { prompt: 'lion', seed: 1 },
      { prompt: 'key', seed: 2 },
    ];
    policy = await calibrate(model, { pairs, steps, guidance, schedule: { computed: 4 } });
  });
  afterAll(() => model.dispose());

  test('refuses a type that the model was not loaded in', async () => {
    const work = draw({ ...request, dtype: 'bfloat16' }, { model });
    await expect(work).rejects.toThrow('The run is in bfloat16, and toy was loaded in float32.');
    const { receipt } = await draw({ ...request, dtype: 'float32', policy: 'none' }, { model });
    expect(receipt).not.toHaveProperty('dtype');
  });

  test('takes the policy that fits, says so in the receipt, and repeat finds it by its hash', async () => {
    const before = tf.memory().numTensors;
    const policies = policiesInMemory({ mine: policy });
    const drawn = await draw(request, { model, policies });
    expect(drawn.policy).toBe(policy);
    expect(drawn.receipt).toMatchObject({
      tool: 'ertacache',
      model: { id: 'toy', hash: 'toy', path: 'fluent-emoji' },
      ...request,
      steps: 6,
      guidance: 2,
      scale: 1,
      policy: { name: 'ertacache', hash: policyHash(policy) },
      schedule: drawn.schedule,
      forwards: 4,
    });
    const again = await repeat(drawn.receipt, { model, policies });
    expect([...dense(again.media)]).toEqual([...dense(drawn.media)]);
    expect(again.receipt).toEqual(drawn.receipt);
    await expect(repeat(drawn.receipt, { model })).rejects.toThrow(PolicyError);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('draws with the budget that a request asks for, and repeats it', async () => {
    const { steps, guidance } = model.info.defaults;
    const pairs = [{ prompt: 'lion', seed: 1 }];
    const whole = await calibrate(model, { pairs, steps, guidance, schedule: { budgets: [2, 3, 5] } });
    const policies = policiesInMemory({ mine: whole });
    for (const asked of [{ forwards: 2 }, { speedup: 3 }, { policy: 'mine', forwards: 2 }]) {
      const drawn = await draw({ ...request, ...asked }, { model, policies });
      expect(drawn.forwards).toBe(2);
      expect(drawn.receipt.policy?.hash).toBe(policyHash(drawn.policy as Policy));
      const again = await repeat(drawn.receipt, { model, policies });
      expect([...dense(again.media)]).toEqual([...dense(drawn.media)]);
    }
    expect((await draw({ ...request, forwards: 4 }, { model, policy: whole })).forwards).toBe(3);
    expect((await draw({ ...request, forwards: 6 }, { model, policy: whole })).receipt.policy).toBeNull();
    const refused = (asked: object, own = {}) => draw({ ...request, ...asked }, { model, policies, ...own });
    await expect(refused({ forwards: 1 })).rejects.toThrow('No policy computes 1 or fewer of 6 steps.');
    await expect(refused({ forwards: 2, psnr: 40 })).rejects.toThrow(
      'forwards and psnr both say how much is computed.',
    );
    await expect(refused({ forwards: 2, policy: 'none' })).rejects.toThrow(UsageError);
    await expect(refused({ forwards: 2 }, { policy: uniform(6, 3) })).rejects.toThrow(UsageError);
  });

  test('a policy that was calibrated without a LoRA is followed with one, and said', async () => {
    const warned = jest.spyOn(console, 'warn').mockImplementation(() => {});
    const loras = [{ path: 'style.safetensors', sha256: 'abc', scale: 0.5 }];
    const styled = { ...model, info: { ...model.info, id: `styled toy on ${backend}`, loras } };
    const policies = policiesInMemory({ mine: policy });
    const drawn = await draw(request, { model: styled, policies });
    expect(drawn).toMatchObject({ policy, receipt: { loras } });
    expect(warned.mock.calls).toEqual([
      [expect.stringMatching(/calibrated for styled toy on \w+ without a LoRA, and this run is with a LoRA/)],
    ]);
    warned.mockRestore();
    // What a receipt names is what was merged.
    expect((await repeat(drawn.receipt, { model: styled, policies })).receipt).toEqual(drawn.receipt);
    await expect(repeat(drawn.receipt, { model, policies })).rejects.toThrow(
      /with a LoRA, and toy was loaded with no LoRA/,
    );
    const other = draw({ ...request, loras: [{ path: 'style.safetensors' }] }, { model: styled, policies });
    await expect(other).rejects.toThrow(UsageError);
    // One that was calibrated with the LoRA goes before all others.
    const own = {
      ...policy,
      data: { ...policy.data, model: { ...policy.data.model, loras: [{ sha256: 'abc', scale: 0.5 }] } },
    };
    const both = policiesInMemory({ mine: policy, own });
    expect((await draw(request, { model: styled, policies: both })).policy).toBe(own);
    expect((await draw(request, { model, policies: both })).policy).toBe(policy);
  });

  test('by name, given, a method of the caller, or none', async () => {
    const named = await draw({ ...request, policy: 'mine' }, { model, policies: policiesInMemory({ mine: policy }) });
    const given = await draw(request, { model, policy });
    expect([...dense(given.media)]).toEqual([...dense(named.media)]);
    expect(named.receipt.policy).toEqual({ name: 'ertacache', hash: policyHash(policy), path: 'mine' });

    const method = await draw(request, { model, policy: uniform(6, 3) });
    expect(method.schedule).toBe('#.#.#.');
    // It has no hash: the picture cannot be repeated without it, and is not repeated as something else.
    await expect(repeat(method.receipt, { model })).rejects.toThrow('The policy "uniform" (custom)');
    const again = await repeat(method.receipt, { model, policy: uniform(6, 3) });
    expect([...dense(again.media)]).toEqual([...dense(method.media)]);

    expect((await draw(request, { model })).schedule).toBe('######');
    expect(
      (await draw({ ...request, policy: 'none' }, { model, policies: policiesInMemory({ policy }) })).schedule,
    ).toBe('######');
  });

  test('refuses a policy that does not fit before anything is encoded', async () => {
    const prepare = jest.fn();
    const untouched = { ...model, prepare };
    for (const wrong of [{ steps: 7 }, { guidance: 3 }]) {
      await expect(draw({ ...request, ...wrong }, { model: untouched, policy })).rejects.toThrow(PolicyError);
      const named = { model: untouched, policies: policiesInMemory({ mine: policy }) };
      await expect(draw({ ...request, ...wrong, policy: 'mine' }, named)).rejects.toThrow(PolicyError);
    }
    await expect(draw({ ...request, policy: 'other' }, { model: untouched })).rejects.toThrow('no policy "other"');
    expect(prepare).not.toHaveBeenCalled();
  });

  test('begins with a picture, whose hash is in the receipt; one that is named must be given', async () => {
    const init = testImage(20, 20);
    const drawn = await draw({ ...request, policy: 'none' }, { model, init });
    expect(drawn.receipt.init).toEqual({
      path: 'picture',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      strength: 0.6,
    });
    expect(drawn.forwards).toBe(4);
    await expect(draw({ ...request, init: { path: 'a.png' } }, { model })).rejects.toThrow('The picture a.png');
  });

  test('enlarges, reports unknown words, and stops', async () => {
    const drawn = await draw({ prompt: 'red dragon', scale: 3 }, { model });
    expect(imageSize(drawn.media as Parameters<typeof imageSize>[0])).toEqual({ width: 48, height: 48 });
    expect(drawn.textLoss).toMatchObject([{ unknown: ['dragon'], dropped: '' }]);
    const before = tf.memory().numTensors;
    await expect(draw(request, { model, signal: AbortSignal.abort() })).rejects.toThrow(InterruptedError);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a receipt of another model is not repeated with this one', async () => {
    const { receipt } = await draw(request, { model });
    const foreign = { ...receipt, model: { ...receipt.model, hash: 'other' } };
    await expect(repeat(foreign, { model })).rejects.toThrow('another version of the model "toy"');
  });
});

test.each([
  [{ prompt: 5 }, 'prompt'],
  [{ prompt: 'x', seed: -1 }, 'seed'],
  [{ prompt: 'x', steps: 0 }, 'steps'],
  [{ prompt: 'x', size: { width: 0 } }, 'size.width'],
  [{ prompt: 'x', init: { path: 'a.png', strength: 2 } }, 'init.strength'],
  [{ prompt: 'x', guidence: 3 }, 'request'],
])('the request %j is refused by the name of its field', (request, field) => {
  expect(() => parseRequest(request as Parameters<typeof parseRequest>[0])).toThrow(UsageError);
  expect(() => parseRequest(request as Parameters<typeof parseRequest>[0])).toThrow(field);
});

test.each(['png', 'webp', 'gif', 'mp4'] as const)(
  'encodeMedia gives the bytes that writeMedia writes: %s',
  async format => {
    const name = scratch.path(`a.${format}`);
    const options = { receipt: { tool: 'test' }, fps: 5 };
    await writeMedia(name, testImage(16, 16), options);
    const bytes = await encodeMedia(testImage(16, 16), format satisfies FileFormat, options);
    expect(Buffer.from(bytes).equals(await readFile(name))).toBe(true);
  },
);
