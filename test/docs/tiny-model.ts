import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { packageRoot } from '../../src/io/package-root';
import type { GoldenTensor } from '../../src/lab/verify/golden-case';
import type { Family } from '../../src/models/family';
import { torchGenerator } from '../../src/random/torch-generator';
import type { Denoiser } from '../../src/transformer/denoiser';
import { encodeSafetensors } from '../../src/weights/encode-safetensors';
import type { StoredValues } from '../../src/weights/memory-store';
import type { ParameterTable } from '../../src/weights/parameters';
import type { CopiedSources } from './copied-sources';

export const TINY = 'TinyTransformer2DModel';
const GOLDEN_WEIGHTS = 'my-golden/weights.safetensors';

/** Normal values. */
export function values(shape: readonly number[], seed: number, scale = 1): StoredValues {
  const data = Float32Array.from(torchGenerator(seed).normal(shape), value => value * scale);
  return { shape, data };
}

const jsonIn = (copy: CopiedSources, file: string): unknown => JSON.parse(readFileSync(copy.path(file), 'utf8'));

function writeTensors(copy: CopiedSources, file: string, tensors: Iterable<readonly [string, GoldenTensor]>): void {
  const stored = [...tensors].map(([name, { shape, data }]) => [name, { dtype: 'F32', shape, data }] as const);
  writeFileSync(copy.path(file), encodeSafetensors(new Map(stored)));
}

/** The transformer of the page's checkpoint, in the copied sources; its caller disposes its weights. */
export interface Tiny {
  readonly known: Family;
  readonly config: unknown;
  readonly table: ParameterTable;
  readonly weights: ReadonlyMap<string, StoredValues>;
  readonly model: Denoiser;
}

export function tinyModel(copy: CopiedSources): Tiny {
  const { familyOf } = copy.load<typeof import('../../src/models/families')>('models/families');
  const { memoryStore } = copy.load<typeof import('../../src/weights/memory-store')>('weights/memory-store');
  const known = familyOf(TINY);
  const config = known.schema.parse(jsonIn(copy, 'my-tiny/transformer/config.json'));
  const table = known.parameters(config);
  const weights = new Map(table.map(({ name, shape }, i) => [name, values(shape, i, 0.3)]));
  return { known, config, table, weights, model: known.create(config, memoryStore(table, weights)) };
}

/** Adds what the page leaves to its reader: weights, and the parts that are not the family's own, those of a small FLUX. */
export function completeCheckpoint(copy: CopiedSources, { known, weights }: Tiny): void {
  const parts = { text_encoder: 'text_encoder_2', tokenizer: 'tokenizer_2', vae: 'vae' };
  for (const [to, from] of Object.entries(parts)) {
    const fixture = join(packageRoot(), 'test/fixtures/pipelines/flux-tiny/pipeline', from);
    cpSync(fixture, copy.path('my-tiny', to), { recursive: true });
  }
  copy.write('my-tiny/scheduler/scheduler_config.json', JSON.stringify(known.presets[0]!.scheduler));
  writeTensors(copy, 'my-tiny/transformer/diffusion_pytorch_model.safetensors', weights);
}

/** Two rows with a text that is shorter than usual. */
export const goldenInputs: ReadonlyMap<string, GoldenTensor> = new Map<string, GoldenTensor>([
  ['hidden_states', values([2, 4, 8, 8], 101)],
  ['timestep', { shape: [2], data: Float32Array.of(900, 250) }],
  ['encoder_hidden_states', values([2, 5, 32], 102)],
]);

/**
 * Completes the page's golden case. The model stands for its own reference: what is tested is how a recording is read
 * and compared.
 * @returns what was recorded
 */
export async function recordGolden(copy: CopiedSources, tiny: Tiny): Promise<ReadonlyMap<string, GoldenTensor>> {
  const { produceForward } = copy.load<typeof import('../../src/lab/verify/transformers')>('lab/verify/transformers');
  const golden = {
    folder: copy.path('my-golden'),
    name: 'my-golden',
    group: 'transformers',
    className: TINY,
    config: tiny.config,
    call: {},
    inputs: goldenInputs,
    expected: new Map(),
    tolerance: () => 0,
  };
  const expected = new Map<string, GoldenTensor>();
  await produceForward(golden, tiny.model, (name, value) => {
    if (!(value instanceof tf.Tensor) || name.startsWith('detail.')) return;
    expected.set(name, { shape: value.shape, data: value.dataSync<'float32'>().slice() });
  });
  const named = (prefix: string, tensors: ReadonlyMap<string, GoldenTensor>) =>
    [...tensors].map(([name, tensor]) => [prefix + name, tensor] as const);
  writeTensors(copy, 'my-golden/io.safetensors', [...named('in.', goldenInputs), ...named('out.', expected)]);
  writeTensors(copy, GOLDEN_WEIGHTS, tiny.weights);
  cpSync(copy.path('my-tiny/transformer/config.json'), copy.path('my-golden/config.json'));
  return expected;
}

/** Changes one number of the golden case's weights. */
export function perturbGolden(copy: CopiedSources, { weights }: Tiny, name: string): void {
  const { shape, data } = weights.get(name)!;
  const changed = { shape, data: data.map((value, i) => (i === 3 ? value + 0.05 : value)) };
  writeTensors(copy, GOLDEN_WEIGHTS, new Map([...weights, [name, changed]]));
}
