import * as tf from '@tensorflow/tfjs-core';
import { type Corrector, corrector } from '../cache/corrector';
import type { Predictor } from '../cache/predictor';
import type { Affine, Combination, Rectification, RectifyForm } from '../cache/rectify';
import type { Site } from '../cache/sites';
import { mean } from '../metrics/statistics';
import { inTurn } from './in-turn';
import { affineFit, fitDecibels, type Moments, momentsOf } from './least-squares';
import { type Reference, referenceAt } from './reference';
import {
  type Look,
  lookAll,
  type Rehearsal,
  rehearse,
  releaseLook,
  rowDistances,
  rowNorms,
  type Want,
} from './rehearsal';

/** How many past computed outputs a least-squares combination is fitted on. */
const DEFAULT_DEPTH = 3;

export interface FitOptions {
  readonly site: Site;
  readonly predictor: Predictor;
  readonly reused: readonly boolean[];
  /** Noise levels to follow; the base schedule unless given. */
  readonly sigmas?: readonly number[] | undefined;
  /** How many past computed outputs a least-squares combination may weigh; 3 unless given. */
  readonly depth?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after every step that cost a forward pass. */
  readonly onStep?: (() => void | Promise<void>) | undefined;
}

/** How `follow` goes along a schedule. */
interface Following extends FitOptions {
  /** What `atStep` wants to see of reused steps. */
  readonly want: Want;
  /** What corrects the outputs of one run. */
  corrections?(): Corrector;
  /** Called at every step before it is corrected and taken: what it fits corrects this very step. */
  atStep?(index: number, runs: readonly Rehearsal[], looks: readonly Look[]): Promise<void>;
}

/**
 * Follows the schedule on all calibration jobs in step, each corrected as a sampling run would be, so that later steps
 * are fitted on states that earlier corrections produced.
 * @returns the mean squared error of every row's final latent against the uncached run
 */
async function follow(references: readonly Reference[], options: Following): Promise<number[]> {
  const runs = references.map(r => rehearse(r.job, options, options.corrections?.()));
  try {
    for (let i = 0; i < options.reused.length; i++) {
      const reuse = options.reused[i] as boolean;
      const looks = await lookAll(runs, i, reuse ? options.want : 'truth');
      try {
        await options.atStep?.(i, runs, looks);
        for (const [r, run] of runs.entries()) {
          const { truth, guess } = looks[r]!;
          if (reuse) run.advance(i, guess!, 'reuse');
          else run.advance(i, truth!, 'compute');
        }
      } finally {
        looks.forEach(releaseLook);
      }
      // Forward passes are what is counted, and a step that was only guessed cost none.
      if (looks[0]?.truth) await options.onStep?.();
    }
    return (await inTurn(runs, (run, r) => rowErrors(run.sample(), references[r]!.samples.at(-1)!))).flat();
  } finally {
    for (const run of runs) run.dispose();
  }
}

/** Mean squared error of every row of `a` against `b`. */
export async function rowErrors(a: tf.Tensor, b: tf.Tensor): Promise<number[]> {
  const squares = tf.tidy(() => tf.squaredDifference(a, b));
  const norms = await rowNorms(squares);
  squares.dispose();
  return norms.map(n => n / (a.size / (a.shape[0] as number)));
}

/**
 * Trust in every reused step (method section 5): `φ = clip(1 - |ṽ - v| / |v - v_before|, 0, 1)`, the mean over the
 * calibration pairs. `ṽ` is the rebuilt output before rectification; `v_before` the true output one step earlier on
 * the same run. Where the output does not change, φ is 1.
 */
export async function fitTrust(references: readonly Reference[], options: FitOptions): Promise<number[]> {
  const phi: number[] = [];
  let before: tf.Tensor[] = [];
  const atStep: Following['atStep'] = async (i, _runs, looks) => {
    const perRow = options.reused[i]
      ? await inTurn(looks, async ({ truth, guess }, r) => {
          const error = await rowDistances(guess!.output.value, truth!.output.value);
          const change = await rowDistances(truth!.output.value, before[r]!);
          return error.map((e, row) => (change[row] === 0 ? 1 : Math.min(1, Math.max(0, 1 - e / change[row]!))));
        })
      : [[1]];
    phi.push(mean(perRow.flat()));
    tf.dispose(before);
    before = looks.map(look => look.truth!.output.value.clone());
  };
  await follow(references, { ...options, want: 'both', atStep }).finally(() => tf.dispose(before));
  return phi;
}

/** One pair of coefficients for the whole output, or one for each of its channels. */
export type Granularity = 'scalar' | 'channel';

/** A fitted rectification and how well the calibration runs ended with it. */
export interface FittedRectification {
  readonly rectify: Rectification;
  /** Mean squared error of every calibration row's final latent. */
  readonly errors: readonly number[];
}

const RIDGE = 1e-6;

/**
 * Closed-form rectification, fitted in closed loop over the schedule.
 * - `linear`, `sigmoid`: the paper's K and B from the true error at the state that caching led to;
 * - `lsq`: a ridge regression of what is known on the output that leads back to the uncached trajectory, in decibels,
 *   at reused steps and, where the solver can say which output that is, at computed ones. It needs no truth at reused
 *   steps, so that fitting costs no more forward passes than the policy itself;
 * - `off`: nothing is fitted, but the schedule is followed and its errors are told.
 */
export async function fitRectification(
  references: readonly Reference[],
  form: RectifyForm,
  granularity: Granularity,
  options: FitOptions,
): Promise<FittedRectification> {
  switch (form) {
    case 'off':
      return { rectify: { form }, errors: await follow(references, { ...options, want: 'guess' }) };
    case 'lsq':
      return fitCombination(references, options);
    default:
      return fitAffineSteps(references, form, granularity, options);
  }
}

async function fitAffineSteps(
  references: readonly Reference[],
  form: 'linear' | 'sigmoid',
  granularity: Granularity,
  options: FitOptions,
): Promise<FittedRectification> {
  const { channelAxis } = references[0]!.job;
  const steps: (Affine | null)[] = [];
  const rectify: Rectification = { form, channelAxis, steps };
  const axis = granularity === 'channel' ? channelAxis : undefined;
  const atStep: Following['atStep'] = async (i, _runs, looks) => {
    steps.push(options.reused[i] ? await fitAffine(looks, axis) : null);
  };
  const corrections = (): Corrector => corrector(rectify);
  return { rectify, errors: await follow(references, { ...options, want: 'both', corrections, atStep }) };
}

async function fitAffine(looks: readonly Look[], axis: number | undefined): Promise<Affine> {
  const { shape } = looks[0]!.guess!.output.value;
  const channels = axis === undefined ? 1 : (shape[axis] as number);
  const inner = axis === undefined ? 1 : shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const fit = affineFit(channels);
  for (const { truth, guess } of looks) {
    const [rebuilt, right] = [await guess!.output.value.data<'float32'>(), await truth!.output.value.data<'float32'>()];
    for (let n = 0; n < rebuilt.length; n++) {
      const value = rebuilt[n] as number;
      fit.add(Math.floor(n / inner) % channels, value, value - (right[n] as number));
    }
  }
  return fit.solve();
}

async function fitCombination(references: readonly Reference[], options: FitOptions): Promise<FittedRectification> {
  const { site, predictor, depth = DEFAULT_DEPTH } = options;
  const steps: (Combination | null)[] = [];
  const rectify: Rectification = { form: 'lsq', steps };
  // Plain reuse makes the rebuilt output the last output again: one of two equal columns is enough.
  const reusesLast = site.name === 'velocity' && predictor.depth === 1 && depth > 0;
  const isCopy = (term: string, reused: boolean): boolean => reused && reusesLast && term.endsWith('.0');
  const atStep: Following['atStep'] = async (i, runs, looks) => {
    const reused = options.reused[i] as boolean;
    // A computed output is right as it is where no run has drifted yet, or where nobody can say what leads back.
    if (!reused && !(runs[0]!.canAim && steps.some(step => step !== null))) {
      steps.push(null);
      return;
    }
    const terms = runs.map((run, r) => {
      const { guess, truth } = looks[r]!;
      return run.terms((reused ? guess : truth)!.output);
    });
    const names = [...Object.keys(terms[0]!).filter(name => !isCopy(name, reused)), 'one'];
    const rows: Moments[] = [];
    for (const [r, run] of runs.entries()) {
      const target = await pulledTarget(references[r]!, run, i);
      const columns = await inTurn(names, async name =>
        name === 'one' ? new Float32Array(target.length).fill(1) : terms[r]![name]!.data<'float32'>(),
      );
      const size = target.length / (run.sample().shape[0] as number);
      for (let from = 0; from < target.length; from += size) {
        const part = (values: Float32Array): Float32Array => values.subarray(from, from + size);
        rows.push(momentsOf(columns.map(part), part(target)));
      }
    }
    const weights = fitDecibels(rows, RIDGE);
    steps.push(Object.fromEntries(names.map((name, n) => [name, Math.fround(weights[n] as number)])));
  };
  const corrections = (): Corrector => corrector(rectify, depth);
  return { rectify, errors: await follow(references, { ...options, want: 'guess', corrections, atStep }) };
}

/**
 * What a corrected output should be: where the solver can say which output leads back to the uncached trajectory in one
 * step, that one; otherwise the output that the uncached run had here.
 */
async function pulledTarget(reference: Reference, run: Rehearsal, index: number): Promise<Float32Array> {
  const target = tf.tidy(() => {
    const there = referenceAt(reference, run.step(index).sigmaNext);
    return run.aim(index, there) ?? (reference.outputs[index] as tf.Tensor).clone();
  });
  const values = await target.data<'float32'>();
  target.dispose();
  return values;
}
