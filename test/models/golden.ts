import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tensor } from '@tensorflow/tfjs-core';
import type { CaseRunner, GoldenCase } from '../../src/lab/verify/golden-case';
import { maxAbsDifference, readGolden, readGoldenCase } from '../support/golden';

const FIXTURES = join(__dirname, '..', 'fixtures');

interface CaseFile {
  group: string;
  case: string;
  class: string;
  call: Record<string, unknown>;
  suggested_max_abs: Record<string, number>;
}

/** The cases of a group, by name. */
export function goldenCases(group: string): GoldenCase[] {
  return readdirSync(join(FIXTURES, group)).map(name => readCase(join(FIXTURES, group, name)));
}

export function goldenCase(group: string, name: string): GoldenCase {
  return readCase(join(FIXTURES, group, name));
}

function readCase(folder: string): GoldenCase {
  const file = readGoldenCase<CaseFile>(folder);
  const tensors = [...readGolden(folder)];
  const part = (prefix: string) =>
    new Map(tensors.filter(([n]) => n.startsWith(prefix)).map(([n, t]) => [n.slice(prefix.length), t]));
  const limits = file.suggested_max_abs;
  return {
    folder,
    name: file.case,
    group: file.group,
    className: file.class,
    config: JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as unknown,
    call: file.call,
    inputs: part('in.'),
    expected: part('out.'),
    tolerance: name => limits[name] ?? fallback(name, limits),
  };
}

/** Tolerances that scheduler cases give under another output's name. */
function fallback(name: string, limits: Record<string, number>): number {
  if (name === 'order_per_step' || name === 'noise_draws_per_step') return 0;
  const other = name === 'alphas_cumprod' ? limits.sigmas : limits.samples;
  if (other === undefined) throw new Error(`no tolerance for ${name}`);
  return other;
}

export interface Outcome {
  /** Expected outputs that the runner did not hand over. */
  readonly missing: string[];
  /** Error over tolerance of every output, worst first. */
  readonly ratios: { name: string; error: number; ratio: number }[];
}

/** Runs a case and compares every output that it expects. */
export async function outcome(golden: GoldenCase, runner: CaseRunner): Promise<Outcome> {
  const errors = new Map<string, number>();
  await runner(golden, (name, value) => {
    const expected = golden.expected.get(name);
    if (!expected || errors.has(name)) return;
    const actual = value instanceof Tensor ? value.dataSync() : value;
    errors.set(name, maxAbsDifference(actual, expected.data));
  });
  const ratios = [...errors].map(([name, error]) => {
    const tolerance = golden.tolerance(name);
    return { name, error, ratio: error === 0 ? 0 : error / tolerance };
  });
  return {
    missing: [...golden.expected.keys()].filter(name => !errors.has(name)),
    ratios: ratios.sort((a, b) => b.ratio - a.ratio),
  };
}
