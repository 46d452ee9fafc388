import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../../errors';
import { openFile } from '../../io/node-file';
import { parseConfig } from '../../io/parse-config';
import { familyOf } from '../../models/families';
import type { GoldenInputs, GoldenNames } from '../../models/golden';
import type { ComputeType } from '../../nn/bfloat16';
import { release } from '../../nn/scope';
import type { Denoiser, Stream, Tap, Tokens } from '../../transformer/denoiser';
import { runBlocks } from '../../transformer/run';
import { loadStore } from '../../weights/load';
import type { WeightStore } from '../../weights/parameters';
import { safetensorsSource } from '../../weights/safetensors-source';
import type { CaseRunner, GoldenCase, Produce } from './golden-case';

function inputsOf(golden: GoldenCase, made: tf.Tensor[]): GoldenInputs {
  const find = (name: string) => {
    const found = golden.inputs.get(name);
    if (found) return found;
    throw new CheckpointError('missing_key', `The case ${golden.name} has no input in.${name}.`);
  };
  const make = (data: Float32Array | Int32Array, shape: readonly number[]): tf.Tensor => {
    made.push(tf.tensor(data, [...shape]));
    return made.at(-1) as tf.Tensor;
  };
  return {
    has: name => golden.inputs.has(name),
    tensor: name => make(find(name).data, find(name).shape),
    squeezed(name, axis) {
      const { data, shape } = find(name);
      return make(
        data,
        shape.filter((size, i) => i !== axis || size !== 1),
      );
    },
    list: name => Array.from(find(name).data),
    rows(name) {
      const { shape, data } = find(name);
      const width = shape.at(-1) as number;
      return Array.from({ length: data.length / width }, (_, i) =>
        Array.from(data.subarray(i * width, (i + 1) * width)),
      );
    },
  };
}

/** Hands over every named sub-result, under its own name and as a detail. */
function recording(produce: Produce, unlike?: string): Tap {
  const record = <T extends tf.Tensor | readonly tf.Tensor[]>(name: string, compute: () => T): T => {
    const value = compute();
    if (value instanceof tf.Tensor && name !== unlike) {
      produce(name, value);
      produce(`detail.${name}`, value);
    }
    return value;
  };
  return Object.assign(record, { aside: record });
}

/** What the model of a case is conditioned on, until `release`. */
export function conditionOf(golden: GoldenCase): { condition: object; release(): void } {
  const made: tf.Tensor[] = [];
  const condition = wordingOf(golden).condition(inputsOf(golden, made));
  return { condition, release: () => tf.dispose(made) };
}

const wordingOf = ({ className }: GoldenCase): GoldenNames => familyOf(className).golden;

/** The forward pass of a transformer on a case's inputs, with everything named along the way handed over. */
export async function produceForward(golden: GoldenCase, model: Denoiser, produce: Produce): Promise<void> {
  const wording = wordingOf(golden);
  const made: tf.Tensor[] = [];
  const tap = recording(produce, wording.unlike);
  let context: unknown;
  let stream: Stream | undefined;
  let tokens: Tokens | undefined;
  try {
    const inputs = inputsOf(golden, made);
    const condition = wording.condition(inputs);
    const latent = inputs.tensor(wording.latent ?? 'hidden_states');
    const timestep = wording.times?.(inputs) ?? inputs.list('timestep').map(t => t * (wording.timeFactor ?? 1));
    context = model.prepare(condition, latent.shape, tap);
    stream = model.embed(latent, timestep, context, tap);
    for (const [name, value] of Object.entries(wording.embedded?.(stream.tokens) ?? {})) {
      produce(name, value);
      value.dispose();
    }
    const onBlock = (index: number, after: Tokens): void => {
      for (const [name, value] of Object.entries(wording.afterBlock(index, after))) produce(name, value);
    };
    tokens = await runBlocks(model, stream, { tap, onBlock });
    const sample = model.head({ tokens, shared: stream.shared }, tap);
    const named = wording.output?.(sample) ?? { sample: sample.clone() };
    sample.dispose();
    for (const [name, value] of Object.entries(named)) produce(name, value);
    release(named);
  } finally {
    release([made, context, stream, tokens]);
  }
}

/** The weights beside a case; its caller disposes them. */
async function storeOf(golden: GoldenCase, config: unknown, dtype?: ComputeType): Promise<WeightStore> {
  const model = familyOf(golden.className);
  const path = join(golden.folder, 'weights.safetensors');
  const source = await safetensorsSource(await openFile(path));
  try {
    return await loadStore(source, model.parameters(config), { blocks: model.blockNames(config), where: path, dtype });
  } finally {
    await source.close();
  }
}

/** Runs a case of the group `transformers`. */
export const runTransformer: CaseRunner = async (golden, produce, dtype) => {
  const model = familyOf(golden.className);
  const config = parseConfig(model.schema, golden.config, join(golden.folder, 'config.json'));
  const weights = await storeOf(golden, config, dtype);
  try {
    await produceForward(golden, model.create(config, weights), produce);
  } finally {
    weights.dispose();
  }
};
