import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { Evaluation } from '../../../src/cache/evaluation';
import { firstBlock } from '../../../src/cache/first-block';
import { none } from '../../../src/cache/none';
import type { BranchCache, CachePolicy, Evaluated, StepInfo } from '../../../src/cache/policy';
import { teacache } from '../../../src/cache/teacache';
import { uniform } from '../../../src/cache/uniform';
import { calibrate } from '../../../src/calibration/calibrate';
import { InterruptedError, PolicyError, ShapeError, UnsupportedError, UsageError } from '../../../src/errors';
import { deserializePolicy, serializePolicy } from '../../../src/policy/bytes';
import { readPolicy, writePolicy } from '../../../src/policy/file';
import { hashTensors } from '../../../src/sampling/velocity/identity';
import type { VelocityParts } from '../../../src/sampling/velocity/parts';
import { sampleLatents } from '../../../src/sampling/velocity/sample-latents';
import { defineScheduler } from '../../../src/sampling/velocity/scheduler';
import type { GuidedVelocity, Velocity } from '../../../src/sampling/velocity/velocity';
import { withCache } from '../../../src/sampling/velocity/with-cache';
import { describeOnBackends } from '../../support/backends';

const STEPS = 8;
const sigmas = Array.from({ length: STEPS + 1 }, (_, i) => 1 - i / STEPS);

/** A field that turns and pulls, so that no two steps are alike; leaves its intermediate tensors behind. */
const swirl: Velocity = (x, t) => tf.add(tf.mul(tf.sin(tf.mul(x, 2)), 1.5 - t), tf.mul(x, Math.cos(4 * t)));

/** The same work in three parts: tokens are twice the latent's width. */
const parts: VelocityParts<unknown, { time: tf.Tensor; t: number }> = {
  embed: (x, t) => ({ hidden: tf.concat([x, tf.mul(x, t)], 1), shared: { time: tf.scalar(t), t } }),
  blocks: [
    (hidden, { time }) => tf.add(hidden, tf.sin(tf.add(hidden, time))),
    (hidden, { t }) => tf.mul(tf.tanh(hidden), 1 + t),
  ],
  head: (hidden, { time }) => tf.mul(tf.sub(...(tf.split(hidden, 2, 1) as [tf.Tensor, tf.Tensor])), tf.add(time, 0.5)),
};

const guided: GuidedVelocity = {
  conditional: swirl,
  unconditional: (x, t) => tf.mul(x, t - 0.3),
  scale: 2,
};

const distance = (a: tf.Tensor, b: tf.Tensor): number =>
  tf.tidy(() => tf.sqrt(tf.mean(tf.squaredDifference(a, b))).dataSync<'float32'>()[0]!);

describeOnBackends('a velocity function', () => {
  let noise: tf.Tensor;
  let before: number;
  beforeAll(() => {
    noise = tf.randomNormal([6, 3], 0, 1, 'float32', 7);
  });
  afterAll(() => noise.dispose());
  beforeEach(() => {
    before = tf.memory().numTensors;
  });
  afterEach(() => expect(tf.memory().numTensors).toBe(before));

  /** The caller's own loop of Euler steps. */
  async function ownLoop(velocity: ReturnType<typeof withCache>, start = noise): Promise<tf.Tensor> {
    let x = start.clone();
    for (const [i, t] of velocity.timesteps.entries()) {
      const v = await velocity(x, t);
      const next = tf.tidy(() => tf.add(x, tf.mul(v, velocity.sigmas[i + 1]! - velocity.sigmas[i]!)));
      tf.dispose([x, v]);
      x = next;
    }
    return x;
  }

  test.each([
    ['a function', swirl],
    ['three parts', parts],
    ['a guided pair', guided],
    ['a guided pair of parts', { conditional: parts, unconditional: swirl, scale: 1.5 }],
    ['a promise', async (x: tf.Tensor, t: number) => tf.tidy(() => swirl(x, t, undefined) as tf.Tensor)],
  ])('%s: the loop of its caller and ours come to the same, cached or not', async (_, source) => {
    for (const policy of [none(), uniform(STEPS, 4, 'output')]) {
      const cached = withCache(source, policy, { sigmas });
      const own = await ownLoop(cached);
      const ours = await sampleLatents(source, noise, { sigmas, policy });
      expect(cached.schedule()).toBe(ours.schedule);
      expect(cached.forwards()).toBeCloseTo(ours.forwards, 10);
      expect(ours.forwards).toBeCloseTo(policy.name === 'none' ? STEPS : 4, 10);
      // The last step let go of everything, with no call of dispose.
      expect(cached.bytes()).toBe(0);
      expect(distance(own, ours.latents)).toBeLessThan(1e-6);
      tf.dispose([own, ours.latents]);
    }
  });

  test.each([
    ['a function', swirl, {}],
    ['a guided pair', guided, { timestep: 'cycle' }],
    ['three parts', parts, { site: 'hidden', rectify: 'linear', granularity: 'channel' }],
    ['a promise', async (x: tf.Tensor, t: number) => tf.tidy(() => swirl(x, t, undefined) as tf.Tensor), {}],
  ] as const)('%s is calibrated, and its policy comes back from its file the same', async (_, source, variant) => {
    const schedule = { computed: 4, trials: 4 };
    const policy = await calibrate(source, { runs: [{ latents: noise }], sigmas, schedule, ...variant });
    expect(policy.data).toMatchObject({
      model: { id: 'function', class: 'function' },
      scheduler: 'Euler',
      guidance: source === guided ? 2 : 1,
      calibration: { pairs: [], rows: 6 },
    });
    expect([...policy.data.schedule].filter(s => s === '#')).toHaveLength(4);

    const folder = await mkdtemp(join(tmpdir(), 'ertacache-'));
    await writePolicy(join(folder, 'p.json'), policy);
    const read = await readPolicy(join(folder, 'p.json'));
    await rm(folder, { recursive: true });
    const { json, coefficients } = await serializePolicy(policy, 'p.json');
    const inMemory = await deserializePolicy(json, async name => ({ name, bytes: coefficients! }));
    expect(inMemory).toEqual(read);
    expect(read.rectify).toEqual(policy.rectify);

    const results = [];
    for (const choice of [policy, read]) {
      const cached = withCache(source, choice);
      results.push(await ownLoop(cached));
      expect(cached.schedule()).toBe(policy.data.schedule);
    }
    // The file keeps a combination's terms in an order of its own, which is a bit of rounding in their sum.
    expect(distance(results[0]!, results[1]!)).toBeLessThan(1e-5);

    // Calibrated reuse is nearer to the uncached run than uniform reuse of as many steps.
    const uncached = await sampleLatents(source, noise, { sigmas });
    const site = 'site' in variant ? variant.site : 'velocity';
    const evenly = await sampleLatents(source, noise, { sigmas, policy: uniform(STEPS, 4, site) });
    const [ofPolicy, ofUniform] = [distance(results[0]!, uncached.latents), distance(evenly.latents, uncached.latents)];
    expect(ofPolicy).toBeLessThan(ofUniform);
    tf.dispose([...results, uncached.latents, evenly.latents]);
  });

  test('never loses a tensor of its caller, whatever the function returns', async () => {
    const constant = tf.mul(noise, 0.1);
    const shared = { nested: [{ mine: tf.ones([1, 3]) }], model: { weights: [tf.ones([1])] } };
    const giving: Velocity[] = [
      x => x,
      () => constant,
      async () => constant,
      async x => x,
      x => tf.mul(tf.neg(x), tf.scalar(-1)),
    ];
    const cut: VelocityParts<typeof shared, typeof shared> = {
      embed: (x, _t, ctx) => ({ hidden: x, shared: ctx }),
      blocks: hidden => hidden,
      head: (_hidden, { nested }) => tf.mul(constant, nested[0]!.mine),
    };
    const mine = tf.memory().numTensors;
    for (const velocity of giving) {
      const { latents } = await sampleLatents(velocity, noise, { sigmas, policy: uniform(STEPS, 3, 'output') });
      latents.dispose();
      expect(tf.memory().numTensors).toBe(mine);
    }
    for (const policy of [uniform(STEPS, 3, 'hidden'), firstBlock({ threshold: 0.1 })]) {
      const { latents } = await sampleLatents(cut, noise, { sigmas, policy, ctx: shared });
      latents.dispose();
      expect(tf.memory().numTensors).toBe(mine);
    }
    for (const t of [noise, constant, shared.nested[0]!.mine, shared.model.weights[0]!])
      expect(t.isDisposed).toBe(false);
    tf.dispose([constant, shared.nested[0]!.mine, shared.model.weights[0]!]);
  });

  test('methods that look inside work on three parts, and say so of a plain function', async () => {
    for (const policy of [
      firstBlock({ threshold: 0.3 }),
      teacache({ threshold: 0.5, coefficients: [1, 0] }),
      uniform(STEPS, 4),
    ]) {
      const { latents, schedule, forwards } = await sampleLatents(parts, noise, { sigmas, policy });
      latents.dispose();
      expect(schedule).toMatch(/^#[#.]*\.[#.]*$/);
      expect(forwards).toBeLessThan(STEPS);
      await expect(sampleLatents(swirl, noise, { sigmas, policy })).rejects.toThrow(UnsupportedError);
    }
  });

  test("passes the caller's context on, at every call", async () => {
    const seen: unknown[] = [];
    const velocity: Velocity<{ label: number }> = (x, _t, ctx) => {
      seen.push(ctx.label);
      return tf.mul(x, ctx.label);
    };
    const cached = withCache(velocity, none(), { sigmas: [1, 0.5, 0] });
    for (const [i, t] of cached.timesteps.entries()) (await cached(noise, t, { label: i + 1 })).dispose();
    (await sampleLatents(velocity, noise, { sigmas: [1, 0], ctx: { label: 7 } })).latents.dispose();
    expect(seen).toEqual([1, 2, 7]);
  });

  test('who asks for estimates is shown the finished latent as single steps predict it', async () => {
    const picture = tf.tensor([0.5, -0.25, 1], [1, 3]);
    const straight: Velocity = () => tf.sub(noise, picture);
    const seen: [index: number, error: number][] = [];
    const { latents } = await sampleLatents(straight, noise, {
      sigmas: [1, 0.6, 0.2, 0],
      estimate: {
        wanted: (index, steps) => index < steps - 1,
        show(predicted, index) {
          const expected = tf.tidy(() => tf.add(tf.zerosLike(noise), picture));
          seen.push([index, distance(predicted, expected)]);
          expected.dispose();
        },
      },
    });
    expect(seen.map(([index]) => index)).toEqual([0, 1]);
    for (const [, error] of seen) expect(error).toBeLessThan(1e-6);
    tf.dispose([latents, picture]);
  });

  test('takes a method whose branches are objects of a class', async () => {
    class EveryOther implements BranchCache {
      #kept: tf.Tensor | undefined;
      async evaluate({ index }: StepInfo, evaluation: Evaluation): Promise<Evaluated> {
        if (index % 2 === 1 && this.#kept) return { output: this.#kept.clone(), decision: 'reuse' };
        this.#kept?.dispose();
        this.#kept = await evaluation.compute();
        return { output: this.#kept.clone(), decision: 'compute' };
      }
      bytes(): number {
        return 4 * (this.#kept?.size ?? 0);
      }
      dispose(): void {
        this.#kept?.dispose();
      }
    }
    const policy: CachePolicy = { name: 'mine', begin: () => ({ branch: () => new EveryOther(), dispose() {} }) };
    const { latents, schedule, steps } = await sampleLatents(swirl, noise, { sigmas, policy });
    expect(schedule).toBe('#.#.#.#.');
    expect(steps[0]!.cacheBytes).toBe(noise.size * 4);
    latents.dispose();
  });

  test('a run that is broken off can be begun again, and holds nothing after dispose', async () => {
    const cached = withCache(swirl, uniform(STEPS, 4, 'velocity'), { sigmas });
    const call = async (i: number): Promise<void> => (await cached(noise, cached.timesteps[i]!)).dispose();
    await call(0);
    await call(1);
    expect(cached.schedule()).toBe('#.');
    expect(cached.bytes()).toBe(noise.size * 4);
    await call(0);
    expect(cached.schedule()).toBe('#');
    cached.restart();
    expect(cached.bytes()).toBe(0);
    await call(0);
    cached.dispose();
  });

  test('is refused with a sentence where it is called wrongly', async () => {
    const cached = withCache(swirl, uniform(STEPS, 4, 'velocity'), { sigmas });
    await expect(cached(noise, 0.5)).rejects.toThrow('Step 1 of 8 was called at time 0.5, where it is at 1.');
    (await cached(noise, 1)).dispose();
    await expect(cached(noise, 0.5)).rejects.toThrow(PolicyError);
    const other = tf.ones([2, 3]);
    await expect(cached(other, sigmas[1]!)).rejects.toThrow(ShapeError);
    other.dispose();
    const two = [cached(noise, sigmas[1]!), cached(noise, sigmas[2]!)];
    await expect(two[1]).rejects.toThrow('before its last call had ended');
    (await two[0]!).dispose();
    cached.dispose();
    expect(() => withCache(swirl, none())).toThrow(UsageError);
    await expect(sampleLatents(swirl, noise, { sigmas: [0, 1] })).rejects.toThrow('Noise levels must fall');
    const wrong: [Velocity, string][] = [
      [x => [x] as unknown as tf.Tensor, 'returned an array in place of a tensor'],
      [x => tf.sum(x), 'returned shape [] for a latent of shape [6,3]'],
      [
        () => {
          tf.ones([3]);
          throw new Error('their own');
        },
        'their own',
      ],
    ];
    for (const [velocity, message] of wrong) {
      await expect(sampleLatents(velocity, noise, { sigmas })).rejects.toThrow(message);
    }
    await expect(calibrate(swirl, { runs: [], sigmas, schedule: { computed: 4 } })).rejects.toThrow(UsageError);
    await expect(
      calibrate(swirl, { runs: [{ latents: noise }], sigmas: [1, 0.5, 0], schedule: { computed: 1 } }),
    ).rejects.toThrow('at least 4 steps');
  });

  test('a policy serves the function that it was calibrated for, and no other', async () => {
    const weights = [tf.ones([2, 2]), tf.zeros([2])];
    const model = { id: 'mine', hash: await hashTensors(weights) };
    expect(await hashTensors(weights)).toBe(model.hash);
    expect(await hashTensors([...weights].reverse())).not.toBe(model.hash);
    tf.dispose(weights);
    const schedule = { reused: sigmas.slice(1).map((_, i) => i % 2 === 1) };
    const policy = await calibrate(swirl, { runs: [{ latents: noise }], sigmas, schedule, model });
    expect(() => withCache(swirl, policy, { model })).not.toThrow();
    expect(() => withCache(swirl, policy)).toThrow('The policy was calibrated for the model "mine"');
    expect(() => withCache({ ...guided }, policy, { model })).toThrow('guidance');
    const others = [...sigmas];
    others[1] = 0.9;
    expect(() => withCache(swirl, policy, { model, sigmas: others })).toThrow('another noise schedule');
    const scheduler = defineScheduler({ name: 'mine', sigmas, step: x => x });
    await expect(sampleLatents(swirl, noise, { scheduler, policy, model })).rejects.toThrow(
      'calibrated with Euler, and this run uses mine',
    );
  });

  test('a calibration is stopped by its signal and leaks nothing', async () => {
    const stop = new AbortController();
    const work = calibrate(swirl, {
      runs: [{ latents: noise }],
      sigmas,
      schedule: { computed: 4 },
      signal: stop.signal,
      onProgress: done => {
        if (done > 20) stop.abort();
      },
    });
    await expect(work).rejects.toThrow(InterruptedError);
  });
}, ['native', 'wasm', 'cpu']);
