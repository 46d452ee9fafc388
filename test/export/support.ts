import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { GoldenCase } from '../../src/verify/golden-case';

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
  'image_rotary_emb.cos': 'image_rotary_emb_cos',
  'image_rotary_emb.sin': 'image_rotary_emb_sin',
};

/** The inputs of a golden case by the names that graphs give them, times in the scheduler's units. */
export function graphInputs(golden: GoldenCase): Record<string, Given> {
  const factor = golden.className === 'FluxTransformer2DModel' ? 1000 : 1;
  return Object.fromEntries(
    [...golden.inputs].map(([name, { data, shape }]) => {
      const values = Array.from(data, value => (name === 'timestep' ? value * factor : value));
      const axes = name === 'y' ? shape.filter((_, axis) => axis !== 1) : [...shape];
      return [NAMES[name] ?? name, { data: values, shape: axes }];
    }),
  );
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
