import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { GoldenCase, GoldenTensor } from '../../../src/lab/verify/golden-case';

/** A tensor as JSON. */
export interface Given {
  readonly data: number[];
  readonly shape: number[];
}

export interface Answer {
  readonly results: number[][];
  readonly leaked: number;
  readonly inputs: Record<string, { tensorShape: { dim: { size: string }[] } }>;
  readonly outputs: string[];
}

const NAMES: Readonly<Record<string, string>> = {
  hidden_states: 'sample',
  x: 'sample',
  y: 'encoder_hidden_states',
  mask: 'encoder_attention_mask',
  x_mask: 'frame_mask',
  img: 'sample',
  t: 'timestep',
  context: 'encoder_hidden_states',
  attn_mask: 'encoder_attention_mask',
  'image_rotary_emb.cos': 'image_rotary_emb_cos',
  'image_rotary_emb.sin': 'image_rotary_emb_sin',
};

/** The inputs of a golden case by the names that graphs give them, times in the scheduler's units. */
export function graphInputs(golden: GoldenCase): Record<string, Given> {
  const factor = /^(Flux|Chroma)Transformer2DModel$/.test(golden.className) ? 1000 : 1;
  return Object.fromEntries(
    [...golden.inputs].map(([name, { data, shape }]) => {
      // MiniT2I's time rises to the picture, a noise level falls to it.
      const values = Array.from(data, value =>
        name === 't' ? 1 - value : name === 'timestep' ? value * factor : value,
      );
      const axes = name === 'y' ? shape.filter((_, axis) => axis !== 1) : [...shape];
      return [NAMES[name] ?? name, { data: values, shape: axes }];
    }),
  );
}

/** The output that the reference gave, in the graph's own terms, and how far a graph may be from it. */
export function graphOutput({ className, expected, tolerance }: GoldenCase) {
  const isFalling = className === 'MiniT2IMMJiTModel';
  const name = isFalling ? 'velocity' : 'sample';
  const values = Array.from(expected.get(name)!.data, value => (isFalling ? -value : value));
  return { values, tolerance: tolerance(name) };
}

/** The same for twice the rows. What belongs to all rows stays as it is. */
export function doubledInputs(inputs: Record<string, Given>): Record<string, Given> {
  const batch = inputs.sample!.shape[0];
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { data, shape }]) => {
      if (/_ids$|image_rotary|^height$|^width$/.test(name) || shape[0] !== batch) return [name, { data, shape }];
      return [name, { data: [...data, ...data], shape: [2 * batch!, ...shape.slice(1)] }];
    }),
  );
}

/** Runs jobs in a process that knows tfjs only. */
export function plain(backend: 'cpu' | 'wasm', jobs: readonly object[]): Answer[] {
  const child = spawnSync(process.execPath, [join(__dirname, 'plain.mjs'), backend], {
    input: JSON.stringify(jobs),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout) as Answer[];
}

const ramp = (shape: readonly number[], phase: number): GoldenTensor => ({
  shape: [...shape],
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.7 + phase)),
});

/** The case with inputs of other sizes, and without those that may be left out; nothing is expected of it. */
export function resized(golden: GoldenCase): GoldenCase {
  const size = (name: string, axis: number): number => golden.inputs.get(name)!.shape.at(axis)!;
  const given = (...values: number[]): GoldenTensor => ({ shape: [values.length], data: Float32Array.from(values) });
  const inputs: Record<string, () => Record<string, GoldenTensor>> = {
    FluxTransformer2DModel: () => ({
      hidden_states: ramp([3, 10, size('hidden_states', 2)], 0),
      encoder_hidden_states: ramp([3, 4, size('encoder_hidden_states', 2)], 1),
      pooled_projections: ramp([3, size('pooled_projections', 1)], 2),
      timestep: given(0.9, 0.5, 0.1),
      img_ids: { shape: [10, 3], data: Float32Array.from({ length: 30 }, (_, i) => [0, i % 2, i % 5][i % 3]!) },
      txt_ids: { shape: [4, 3], data: new Float32Array(12) },
      ...(golden.inputs.has('guidance') && { guidance: given(1, 3.5, 7) }),
    }),
    ChromaTransformer2DModel: () => ({
      hidden_states: ramp([3, 10, size('hidden_states', 2)], 0),
      encoder_hidden_states: ramp([3, 4, size('encoder_hidden_states', 2)], 1),
      timestep: given(0.9, 0.5, 0.1),
      img_ids: { shape: [10, 3], data: Float32Array.from({ length: 30 }, (_, i) => [0, i % 2, i % 5][i % 3]!) },
      txt_ids: { shape: [4, 3], data: new Float32Array(12) },
      ...(golden.inputs.has('attention_mask') && {
        attention_mask: { shape: [3, 14], data: Float32Array.from({ length: 42 }, (_, i) => (i % 14 === 3 ? 0 : 1)) },
      }),
    }),
    WanTransformer3DModel: () => ({
      hidden_states: ramp([1, size('hidden_states', 1), 2, 6, 4], 0),
      encoder_hidden_states: ramp([1, 3, size('encoder_hidden_states', 2)], 1),
      timestep: given(731),
    }),
    CogVideoXTransformer3DModel: () => ({
      hidden_states: ramp([3, 3, size('hidden_states', 2), 4, 6], 0),
      encoder_hidden_states: ramp([3, size('encoder_hidden_states', 1), size('encoder_hidden_states', 2)], 1),
      timestep: given(999, 500, 1),
    }),
    MiniT2IMMJiTModel: () => ({
      img: ramp([3, 3, size('img', 2), 2 * size('img', 3)], 0),
      context: ramp([3, 4, size('context', 2)], 1),
      attn_mask: { shape: [3, 4], data: Float32Array.of(1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0) },
      t: given(0.1, 0.5, 0.99),
    }),
    STDiT3: () => ({
      x: ramp([2, size('x', 1), 5, 7, 6], 0),
      y: ramp([2, 1, 5, size('y', 3)], 1),
      timestep: given(900, 20),
      fps: given(24),
      height: given(56),
      width: given(48),
    }),
  };
  return { ...golden, inputs: new Map(Object.entries(inputs[golden.className]!())) };
}

/** The inputs that a graph makes itself where they are not given. */
export function withoutDefaults(inputs: Record<string, Given>): Record<string, Given> {
  const { txt_ids: _text, height: _height, width: _width, ...rest } = inputs;
  return rest;
}
