import * as tf from '@tensorflow/tfjs-core';
import { matMul } from '../../nn/fused';
import { settle } from '../../nn/settle';

/** For so long nothing counts: JavaScript and WebAssembly are compiled anew once they have run a while. */
export const WARM_UP_SECONDS = 0.5;

/** Seconds that `work` takes each time. Before several times come some that do not count. */
export async function timed(runs: number, work: () => tf.Tensor): Promise<number[]> {
  const once = async (): Promise<number> => {
    const started = performance.now();
    const result = tf.tidy(work);
    await settle(result);
    const seconds = (performance.now() - started) / 1000;
    result.dispose();
    return seconds;
  };
  if (runs > 1) for (let warmed = 0; warmed < WARM_UP_SECONDS; ) warmed += await once();
  const seconds: number[] = [];
  for (let run = 0; run < runs; run++) seconds.push(await once());
  return seconds;
}

/** Steps that a uniform schedule computes which reuses this share of them; one at least is computed, and one reused. */
export const computedSteps = (steps: number, share: number): number =>
  Math.max(1, Math.min(steps - 1, Math.round(steps * (1 - share))));

/** A product `[rows, inputs] · [inputs, outputs]`, and how often a forward pass has it. */
export interface Product {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly count: number;
}

/** More rows than these are no faster. */
const ENOUGH_ROWS = 4096;
const MOST_RUNS = 11;
/** A shape is timed no longer than this, in seconds, but twice. */
const ENOUGH_SECONDS = 1;

/**
 * Operations a second that the active backend's fastest matrix product reaches at a model's own sizes, which bounds what
 * its forward pass can reach: the work of all products by their time. Of each shape the best run counts, not the
 * median: it is what everything else is held against.
 */
export async function matMulRate(products: readonly Product[]): Promise<number> {
  const distinct = new Map<string, Product>();
  for (const { rows, inputs, outputs, count } of products) {
    const shape = { rows: Math.min(rows, ENOUGH_ROWS), inputs, outputs };
    const work = count * (rows / shape.rows);
    const key = JSON.stringify(shape);
    distinct.set(key, { ...shape, count: work + (distinct.get(key)?.count ?? 0) });
  }
  let [flops, time] = [0, 0];
  for (const product of distinct.values()) {
    const { rows, inputs, outputs, count } = product;
    flops += 2 * rows * inputs * outputs * count;
    time += (await bestSeconds(product)) * count;
  }
  return flops / time;
}

async function bestSeconds({ rows, inputs, outputs }: Product): Promise<number> {
  const [a, b] = [tf.randomUniform([rows, inputs]), tf.randomUniform([inputs, outputs])];
  let best = Number.POSITIVE_INFINITY;
  const started = performance.now();
  for (let run = 0; run < MOST_RUNS; run++) {
    if (run >= 2 && performance.now() - started > 1000 * ENOUGH_SECONDS) break;
    best = Math.min(best, ...(await timed(1, () => matMul(a, b))));
  }
  tf.dispose([a, b]);
  return best;
}
