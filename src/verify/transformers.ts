import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../errors';
import type { Denoiser, Stream, Tap, Tokens } from '../models/denoiser';
import { modelClass, parseConfig } from '../models/registry';
import { runBlocks } from '../models/run';
import type { ComputeType } from '../nn/bfloat16';
import { release } from '../nn/scope';
import { loadStore } from '../weights/load';
import { openFile } from '../weights/node-file';
import type { WeightStore } from '../weights/parameters';
import { safetensorsSource } from '../weights/safetensors-source';
import type { CaseRunner, GoldenCase, Produce } from './golden-case';

/** How the reference's arguments and results are named for one class of transformer. */
interface Wording {
  /** Name of the latent among the inputs; `hidden_states` by default. */
  readonly latent?: string;
  /** What the reference's timestep is multiplied by to be in the scheduler's units. */
  readonly timeFactor?: number;
  condition(inputs: Inputs): object;
  /** Results that are not taps of the model, made from the embedded tokens. */
  embedded?(tokens: Tokens): Record<string, tf.Tensor>;
  /** Tokens after a block, by their names in the case. */
  afterBlock(index: number, tokens: Tokens): Record<string, tf.Tensor>;
}

/** A case's inputs: tensors that live until the run's end, or plain numbers. */
interface Inputs {
  has(name: string): boolean;
  tensor(name: string): tf.Tensor;
  /** A tensor without `axis`, which is of size 1. */
  squeezed(name: string, axis: number): tf.Tensor;
  list(name: string): number[];
  rows(name: string): number[][];
}

const blockName = (index: number): string => `block_${String(index).padStart(2, '0')}`;

const bothStreams = (index: number, tokens: Tokens): Record<string, tf.Tensor> => ({
  [`${blockName(index)}.hidden_states`]: tokens.hidden,
  [`${blockName(index)}.encoder_hidden_states`]: tokens.context as tf.Tensor,
});

const wordings: Readonly<Record<string, Wording>> = {
  FluxTransformer2DModel: {
    timeFactor: 1000,
    condition: inputs => ({
      encoderHiddenStates: inputs.tensor('encoder_hidden_states'),
      pooledProjections: inputs.tensor('pooled_projections'),
      imgIds: inputs.rows('img_ids'),
      txtIds: inputs.rows('txt_ids'),
      ...(inputs.has('guidance') && { guidance: inputs.list('guidance') }),
    }),
    afterBlock: bothStreams,
  },
  WanTransformer3DModel: {
    condition: inputs => ({ encoderHiddenStates: inputs.tensor('encoder_hidden_states') }),
    afterBlock: (index, tokens) => ({ [blockName(index)]: tokens.hidden }),
  },
  CogVideoXTransformer3DModel: {
    condition: inputs => ({
      encoderHiddenStates: inputs.tensor('encoder_hidden_states'),
      ...(inputs.has('image_rotary_emb.cos') && {
        rope: { cos: inputs.tensor('image_rotary_emb.cos'), sin: inputs.tensor('image_rotary_emb.sin') },
      }),
    }),
    embedded: tokens => ({ patch_embed: tf.concat([tokens.context as tf.Tensor, tokens.hidden], 1) }),
    afterBlock: bothStreams,
  },
  STDiT3: {
    latent: 'x',
    condition: inputs => ({
      captions: inputs.squeezed('y', 1),
      fps: inputs.list('fps'),
      height: inputs.list('height')[0],
      width: inputs.list('width')[0],
      ...(inputs.has('mask') && { mask: inputs.rows('mask') }),
      ...(inputs.has('x_mask') && { frameMask: inputs.rows('x_mask') }),
    }),
    afterBlock: (index, tokens) => ({
      [`${blockName(Math.floor(index / 2))}.${index % 2 === 0 ? 'spatial' : 'temporal'}`]: tokens.hidden,
    }),
  },
};

function inputsOf(golden: GoldenCase, made: tf.Tensor[]): Inputs {
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
function recording(produce: Produce): Tap {
  const record = <T extends tf.Tensor | readonly tf.Tensor[]>(name: string, compute: () => T): T => {
    const value = compute();
    if (value instanceof tf.Tensor) {
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

function wordingOf(golden: GoldenCase): Wording {
  const wording = wordings[golden.className];
  if (wording) return wording;
  throw new CheckpointError('config_class', `Cases of the class "${golden.className}" cannot be run.`, {
    hint: `Known classes: ${Object.keys(wordings).join(', ')}.`,
  });
}

/** The forward pass of a transformer on a case's inputs, with everything named along the way handed over. */
export async function produceForward(golden: GoldenCase, model: Denoiser, produce: Produce): Promise<void> {
  const wording = wordingOf(golden);
  const made: tf.Tensor[] = [];
  const tap = recording(produce);
  let context: unknown;
  let stream: Stream | undefined;
  let tokens: Tokens | undefined;
  try {
    const inputs = inputsOf(golden, made);
    const condition = wording.condition(inputs);
    const latent = inputs.tensor(wording.latent ?? 'hidden_states');
    const timestep = inputs.list('timestep').map(t => t * (wording.timeFactor ?? 1));
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
    produce('sample', sample);
    sample.dispose();
  } finally {
    release([made, context, stream, tokens]);
  }
}

/** The weights beside a case; its caller disposes them. */
async function storeOf(golden: GoldenCase, config: unknown, dtype?: ComputeType): Promise<WeightStore> {
  const model = modelClass(golden.className);
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
  const model = modelClass(golden.className);
  const config = parseConfig(model.schema, golden.config, join(golden.folder, 'config.json'));
  const weights = await storeOf(golden, config, dtype);
  try {
    await produceForward(golden, model.create(config, weights), produce);
  } finally {
    weights.dispose();
  }
};
