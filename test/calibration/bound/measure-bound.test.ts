import * as tf from '@tensorflow/tfjs-core';
import { reachedBy } from '../../../src/calibration/bound/conformal';
import { measureBounds } from '../../../src/calibration/bound/measure-bound';
import { calibrate } from '../../../src/calibration/calibrate';
import { scorePolicy } from '../../../src/calibration/measure';
import { boundPairs, splitPairs } from '../../../src/calibration/pairs';
import { draw, drawBatch, repeat } from '../../../src/draw/draw';
import { UsageError } from '../../../src/errors';
import { deserializePolicy, serializePolicy } from '../../../src/policy/bytes';
import type { Policy } from '../../../src/policy/data';
import { policyHash } from '../../../src/policy/hash';
import type { Pair } from '../../../src/policy/pair';
import { policiesInMemory } from '../../../src/policy/source';
import type { Pipeline } from '../../../src/sampling/pipeline';
import { describeOnBackends } from '../../support/backends';
import { toyPipeline } from '../../support/toy-pipeline';

describe('pairs for bounds', () => {
  const prompts = ['a', 'b', 'c', 'd', 'e', 'f'];

  test('have prompts that are not calibrated on, and seeds of their own', () => {
    const pairs = boundPairs(prompts, 8);
    const { calibration, evaluation } = splitPairs(prompts, 100, 100);
    expect(pairs).toHaveLength(8);
    for (const { prompt, seed } of pairs) {
      expect(calibration.map(p => p.prompt)).not.toContain(prompt);
      expect([...calibration, ...evaluation].map(p => p.seed)).not.toContain(seed);
    }
  });
});

describeOnBackends('bounds of policies', () => {
  let model: Pipeline;
  let policies: Policy[];
  const pairs = boundPairs(['red heart', 'blue star', 'lion', 'key'], 64);
  beforeAll(async () => {
    model = toyPipeline();
    const own = splitPairs(model.info.prompts, 4, 0).calibration;
    const schedules = ['##.#.#', '#.#..#'];
    policies = [];
    for (const schedule of schedules) {
      const reused = [...schedule].map(step => step === '.');
      policies.push(await calibrate(model, { pairs: own, steps: 6, guidance: 2, schedule: { reused } }));
    }
    const before = tf.memory().numTensors;
    const bounds = await measureBounds(model, policies, pairs, { batch: 16 });
    expect(tf.memory().numTensors).toBe(before);
    policies = policies.map((policy, i) => ({ ...policy, data: { ...policy.data, bound: bounds[i] } }));
  });
  afterAll(() => model.dispose());

  test('are found together, and leave the policy what it was', async () => {
    const [first, second] = policies.map(({ data }) => data.bound);
    expect(first).toMatchObject({ pairs: 64, shape: [16, 48], gap: { step: 1 } });
    expect(second).toMatchObject({ pairs: 64, gap: { step: 0 } });
    const scores = await scorePolicy(model, policies[1] as Policy, pairs, { batch: 16 });
    const reached = reachedBy(scores.map(({ psnr }) => psnr));
    for (const [i, { confidence, dB }] of reached.entries()) {
      expect(second?.all[i]?.confidence).toBe(confidence);
      expect(dB - (second?.all[i]?.dB as number)).toBeGreaterThanOrEqual(0);
      expect(dB - (second?.all[i]?.dB as number)).toBeLessThan(0.02);
    }
    const policy = policies[0] as Policy;
    const { bound: _, ...bare } = policy.data;
    expect(policyHash(policy)).toBe(policyHash({ ...policy, data: bare }));
    const { json, coefficients } = await serializePolicy(policy);
    const read = await deserializePolicy(json, async name => ({ name, bytes: coefficients as Uint8Array }));
    expect(read.data.bound).toEqual(policy.data.bound);
  });

  test('are told by a drawing and its receipt, and a run like none of theirs has none', async () => {
    const before = tf.memory().numTensors;
    const source = policiesInMemory({ mine: policies[0] as Policy });
    const request = { prompt: 'red heart', seed: 3 };
    const drawn = await draw(request, { model, policies: source });
    expect(drawn.bound).toEqual({ psnr: expect.any(Number), confidence: 0.9 });
    expect(drawn.receipt.bound).toEqual(drawn.bound);
    expect((await repeat(drawn.receipt, { model, policies: source })).receipt).toEqual(drawn.receipt);
    // The picture is that of the policy without its bound.
    const { bound, ...bare } = (policies[0] as Policy).data;
    const plain = await draw(request, { model, policy: { ...(policies[0] as Policy), data: bare } });
    expect(plain).not.toHaveProperty('bound');
    expect(plain.receipt).not.toHaveProperty('bound');
    expect(plain.media.data ?? plain.media).toEqual(drawn.media.data ?? drawn.media);
    expect(plain.run).toBe(drawn.run);

    // An empty prompt has no gap: guidance's outputs are equal.
    const empty = await draw({ ...request, prompt: '' }, { model, policies: source });
    expect([empty.outside, empty.bound, empty.receipt.bound]).toEqual([true, null, null]);
    // Bounds of pictures of another size.
    const other = { ...bare, bound: { ...(bound as NonNullable<typeof bound>), shape: [64, 48] } };
    const sized = await draw(request, { model, policy: { ...(policies[0] as Policy), data: other } });
    expect(sized.bound).toBeNull();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('choose the fewest forwards that keep what is asked for, and a doubtful picture is computed again', async () => {
    const before = tf.memory().numTensors;
    const source = policiesInMemory({ more: policies[0] as Policy, fewer: policies[1] as Policy });
    const kept = (policy: Policy | undefined): number =>
      policy?.data.bound?.all.find(({ confidence }) => confidence === 0.9)?.dB ?? 0;
    // One of those that were seen: the toy's prompts are few, and unlike each other.
    const { prompt: seen } = pairs[0] as Pair;
    const guaranteed = (psnr: number, prompt = seen) =>
      draw({ prompt, seed: 3, guarantee: { psnr } }, { model, policies: source });
    const easy = await guaranteed(0);
    expect([easy.forwards, easy.discarded]).toEqual([3, undefined]);
    expect(easy.bound?.confidence).toBe(0.9);
    // What is told is of the confidence that was asked for.
    const half = await draw(
      { prompt: seen, seed: 3, guarantee: { psnr: 0, confidence: 0.5 } },
      { model, policies: source },
    );
    expect([half.bound?.confidence, half.receipt.bound]).toEqual([0.5, half.bound]);
    expect(half.bound!.psnr).toBeGreaterThanOrEqual(easy.bound!.psnr);
    // No bound reaches this: every step is computed, at once.
    const hard = await guaranteed(Math.max(...policies.map(kept)) + 1);
    expect([hard.forwards, hard.policy, hard.discarded]).toEqual([6, undefined, undefined]);
    // An empty prompt is unlike what was seen, by any policy: every step is computed.
    const unlike = await guaranteed(0, '');
    expect([unlike.forwards, unlike.policy, unlike.discarded]).toEqual([6, undefined, 3]);
    const both = await drawBatch(
      [seen, ''].map(prompt => ({ prompt, seed: 3, guarantee: { psnr: 0 } })),
      { model, policies: source },
    );
    expect(both.map(({ forwards, discarded }) => [forwards, discarded])).toEqual([
      [3, undefined],
      [6, 3],
    ]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('need pairs enough', async () => {
    await expect(measureBounds(model, policies, pairs.slice(0, 8), { batch: 8 })).rejects.toThrow(UsageError);
  });
});
