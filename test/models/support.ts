import * as tf from '@tensorflow/tfjs-core';
import { parseConfig } from '../../src/io/parse-config';
import { familyOf } from '../../src/models/families';
import type { Params } from '../../src/nn/params';
import { release } from '../../src/nn/scope';
import type { Denoiser, Tap } from '../../src/transformer/denoiser';
import { forward } from '../../src/transformer/run';
import { syntheticStore } from '../../src/weights/memory-store';
import type { ParameterTable, WeightStore } from '../../src/weights/parameters';

/** A small model with made-up weights. */
export function smallModel(config: { _class_name: string }): {
  model: Denoiser;
  weights: WeightStore;
  table: ParameterTable;
  used: Set<string>;
} {
  const known = familyOf(config._class_name);
  const parsed = parseConfig(known.schema, config, 'config.json');
  const table = known.parameters(parsed);
  const used = new Set<string>();
  const weights = watched(syntheticStore(table, 7, known.blockNames(parsed)), used);
  return { model: known.create(parsed, weights), weights, table, used };
}

/** A store that notes the full name of every parameter that is taken from it. */
function watched(store: WeightStore, used: Set<string>): WeightStore {
  const params = (inner: Params, prefix: string): Params => ({
    tensor(name) {
      used.add(prefix + name);
      return inner.tensor(name);
    },
    has: name => inner.has(name),
    at: name => params(inner.at(name), `${prefix}${name}.`),
  });
  return {
    resident: params(store.resident, ''),
    use: (prefix, work, next) => store.use(prefix, inner => work(params(inner, `${prefix}.`)), next),
    bytes: store.bytes,
    dispose: () => store.dispose(),
  };
}

/** Reproducible values, evenly spread over [-1, 1]. */
export function values(shape: number[], seed = 1): tf.Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233)),
    shape,
  );
}

/** One forward pass, its values; everything made on the way is disposed. */
export async function run(
  model: Denoiser,
  cond: unknown,
  latent: tf.Tensor,
  time: number | number[],
  tap?: Tap,
): Promise<{ shape: number[]; data: Float32Array }> {
  const context = model.prepare(cond, latent.shape, tap);
  const out = await forward(model, latent, time, context, { tap });
  const data = (await out.data()) as Float32Array;
  const { shape } = out;
  release([out, context]);
  return { shape, data };
}
