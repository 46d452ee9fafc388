import * as tf from '@tensorflow/tfjs-core';
import { firstBlock } from '../../src/cache/first-block';
import { magcache } from '../../src/cache/magcache';
import { none } from '../../src/cache/none';
import type { CachePolicy } from '../../src/cache/policy';
import { teacache } from '../../src/cache/teacache';
import { uniform } from '../../src/cache/uniform';
import { calibrate } from '../../src/calibration/calibrate';
import { draw } from '../../src/draw/draw';
import { ErtaError, InterruptedError } from '../../src/errors';
import { breathe, nextTurn } from '../../src/io/turn';
import type { Pipeline } from '../../src/sampling/pipeline';
import type { VelocityParts } from '../../src/sampling/velocity/parts';
import { sampleLatents } from '../../src/sampling/velocity/sample-latents';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

const STEPS = 8;
const sigmas = Array.from({ length: STEPS + 1 }, (_, i) => 1 - i / STEPS);

const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Keeps the thread for some milliseconds, as a product of large matrices does. */
function hold(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** A model of as many blocks, of which each is told. */
function blocksThat(act: (block: number) => void, count = 4): VelocityParts {
  return {
    embed: (x, t) => ({ hidden: tf.add(x, t), shared: undefined }),
    blocks: Array.from({ length: count }, (_, i) => (hidden: tf.Tensor) => {
      act(i);
      return tf.sin(hidden);
    }),
    head: hidden => tf.mul(hidden, 0.5),
  };
}

test('an interruption is called as platforms call it, and tells its reason', async () => {
  const reason = new Error('enough');
  const error = await errorOf(nextTurn(AbortSignal.abort(reason)));
  expect(error).toBeInstanceOf(InterruptedError);
  expect(ErtaError.isInstance(error)).toBe(true);
  expect(error).toMatchObject({ name: 'AbortError', code: 'interrupted', cause: reason, reason });
});

test('a turn lets timers through, and a breath does where the last turn is some time ago', async () => {
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  hold(3);
  await nextTurn();
  await nextTurn();
  expect(fired).toBe(true);
  await breathe();
  fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  hold(60);
  await breathe();
  hold(60);
  await breathe();
  expect(fired).toBe(true);
});

test('where there is no setImmediate, as in browsers, a message makes the turn', async () => {
  const { setImmediate: own } = globalThis;
  Reflect.deleteProperty(globalThis, 'setImmediate');
  try {
    await Promise.all([nextTurn(), nextTurn()]);
  } finally {
    globalThis.setImmediate = own;
  }
});

describeOnBackends('the event loop', () => {
  let pipeline: Pipeline;
  let latents: tf.Tensor;
  let before: number;
  beforeAll(() => {
    pipeline = toyPipeline();
    latents = tf.randomNormal([2, 3], 0, 1, 'float32', 7);
  });
  afterAll(() => {
    pipeline.dispose();
    latents.dispose();
  });
  beforeEach(() => {
    before = tf.memory().numTensors;
  });
  afterEach(() => expect(tf.memory().numTensors).toBe(before));

  test('timers go on during a run', async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await draw({ prompt: 'red heart', steps: 60, policy: 'none' }, { model: pipeline });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
  });

  test('a signal that is aborted by a timer stops a run', async () => {
    const signal = AbortSignal.timeout(20);
    const work = draw({ prompt: 'red heart', steps: 2000, policy: 'none' }, { model: pipeline, signal });
    expect(await errorOf(work)).toMatchObject({ name: 'AbortError', reason: signal.reason });
  });

  test('a signal that is aborted by a timer stops a calibration', async () => {
    const signal = AbortSignal.timeout(20);
    const work = calibrate(pipeline, {
      pairs: [{ prompt: 'lion', seed: 1 }],
      steps: 1000,
      guidance: 2,
      schedule: { computed: 500 },
      signal,
    });
    expect(await errorOf(work)).toMatchObject({ name: 'AbortError', reason: signal.reason });
  });

  test('a forward pass whose blocks take long is stopped between two of them', async () => {
    let run = 0;
    const slow = blocksThat(() => {
      run++;
      hold(20);
    }, 50);
    const signal = AbortSignal.timeout(50);
    expect(await errorOf(sampleLatents(slow, latents, { sigmas, signal }))).toMatchObject({ name: 'AbortError' });
    expect(run).toBeLessThan(20);
  });

  const caches: CachePolicy[] = [
    none(),
    uniform(STEPS, 6),
    firstBlock({ threshold: 0.01 }),
    teacache({ threshold: 0.01, coefficients: [1, 0] }),
    magcache({ threshold: 0.1, ratios: [1, 1.1, 0.9], retentionRatio: 0 }),
  ];
  test.each(caches.map(cache => [cache.name, cache] as const))(
    'nothing is left of a pass that was stopped, or that failed, in the middle (%s)',
    async (_name, policy) => {
      for (const [step, block] of [
        [0, 0],
        [0, 2],
        [2, 2],
      ] as const) {
        let calls = 0;
        const at = step * 4 + block;
        const stop = new AbortController();
        const stopping = blocksThat(() => {
          if (calls++ === at) stop.abort();
        });
        await errorOf(sampleLatents(stopping, latents, { sigmas, policy, signal: stop.signal }));
        expect(tf.memory().numTensors).toBe(before);

        calls = 0;
        const failing = blocksThat(() => {
          if (calls++ === at) throw new Error('on purpose');
        });
        const error = await errorOf(sampleLatents(failing, latents, { sigmas, policy }));
        expect(error).toMatchObject({ message: 'on purpose' });
        expect(tf.memory().numTensors).toBe(before);
      }
    },
  );

  test('whoever watches a run and fails ends it with that error', async () => {
    const onStep = (): never => {
      throw new Error('on purpose');
    };
    const work = draw({ prompt: 'lion', steps: 3 }, { model: pipeline, onStep });
    await expect(work).rejects.toThrow('on purpose');
    const late = draw({ prompt: 'lion', steps: 3 }, { model: pipeline, onStep: async () => onStep() });
    await expect(late).rejects.toThrow('on purpose');
  });
});
