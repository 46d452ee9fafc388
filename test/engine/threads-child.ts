/** Computes layers on WebAssembly with as many threads as its argument says; prints what came of it. */
import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../../src/engine/select';
import { silu } from '../../src/nn/activation';
import { attention } from '../../src/nn/attention';
import { linear } from '../../src/nn/linear';
import { layerNorm } from '../../src/nn/norm';
import { hasLevel, sharesOfThreads, useThreads, withKernels } from '../../src/nn/wasm/run';
import { view } from '../../src/weights/store';

/** Layers with enough to do for threads, and with shares that are not all alike. */
function layers(): tf.Tensor[] {
  let seed = 0;
  const noise = (...shape: number[]): tf.Tensor => tf.randomUniform(shape, -1, 1, 'float32', ++seed);
  const params = view(new Map([['weight', noise(300, 333)] as const, ['bias', noise(333)] as const]), '');
  const heads = noise(2, 130, 7, 40);
  return [
    linear(params, noise(100, 300), { activation: 'geluTanh' }),
    linear(params, noise(2, 300)),
    attention(heads, heads, heads),
    layerNorm(noise(1021, 512), 1e-6),
    silu(noise(1021, 512)),
  ];
}

const digest = (tensors: readonly tf.Tensor[]): string => {
  const hash = createHash('sha256');
  for (const each of tensors) hash.update(new Uint8Array(each.dataSync().slice().buffer));
  return hash.digest('hex');
};

async function main(threads: number): Promise<void> {
  const { label } = await selectBackend('wasm', { threads });
  const product = [...tf.matMul(tf.ones([96, 96]), tf.ones([96, 96])).dataSync()].filter((_, i) => i % 97 === 0);
  const digits: Record<string, string> = {};
  for (const level of ['plain', 'fma'] as const) {
    const rounds: string[] = [];
    if (await hasLevel(level)) {
      await withKernels(level, async () => {
        const enough = (): boolean => rounds.length >= 5 && (sharesOfThreads() ?? []).every(count => count > 100);
        // On a busy machine it takes a while until every thread has had a share.
        while (!enough() && rounds.length < 500) rounds.push(tf.tidy(() => digest(layers())));
      });
    }
    digits[level] = [...new Set(rounds)].join();
  }
  const idle = (sharesOfThreads() ?? []).filter(count => count === 0).length;
  const fewer = await useThreads(Math.min(2, threads));
  const again = await selectBackend('wasm', { threads: threads + 1 }).then(
    () => 'taken',
    error => error.message,
  );
  console.log(JSON.stringify({ label, product, digits, idle, fewer, again }));
}

void main(Number(process.argv[2]));
