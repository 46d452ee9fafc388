import type * as tf from '@tensorflow/tfjs-core';
import type { Predictor } from '../cache/predictor';
import {
  type Affine,
  applyAffine,
  type Combination,
  combine,
  LSQ_TERMS,
  lsqTerms,
  type Rectification,
  type RectifyForm,
} from '../cache/rectify';
import type { Site } from '../cache/sites';
import { affineFit, normalEquations } from './least-squares';
import { type Reference, referenceAt } from './reference';
import { type Look, mean, type Rehearsal, rehearse, releaseLook, rowDistances } from './rehearsal';
import { inTurn } from './walk';

export interface FitOptions {
  readonly site: Site;
  readonly predictor: Predictor;
  readonly reused: readonly boolean[];
  /** Noise levels to follow; the base schedule unless given. */
  readonly sigmas?: readonly number[];
  readonly signal?: AbortSignal;
  readonly onStep?: () => void | Promise<void>;
}

/**
 * Follows the schedule on all calibration jobs in step; at reused steps `atReuse` may replace the rebuilt outputs
 * (its results are released here), so that later steps are fitted on states that earlier corrections produced.
 */
async function follow(
  references: readonly Reference[],
  options: FitOptions,
  atStep: (index: number, runs: readonly Rehearsal[], looks: readonly Look[]) => Promise<tf.Tensor[] | undefined>,
): Promise<void> {
  const runs = references.map(r => rehearse(r.job, options));
  try {
    for (let i = 0; i < options.reused.length; i++) {
      const looks = await inTurn(runs, run => run.look(i));
      const replaced = await atStep(i, runs, looks);
      for (const [r, run] of runs.entries()) {
        const look = looks[r]!;
        const reuse = options.reused[i] as boolean;
        run.advance(i, replaced?.[r] ?? (reuse ? look.rebuilt! : look.truth), !reuse, look);
        releaseLook(look);
        replaced?.[r]?.dispose();
      }
      await options.onStep?.();
    }
  } finally {
    for (const run of runs) run.dispose();
  }
}

/**
 * Trust in every reused step (method section 5): `φ = clip(1 - |ṽ - v| / |v - v_before|, 0, 1)`, the mean over the
 * calibration pairs. `ṽ` is the rebuilt output before rectification; `v_before` the true output one step earlier on
 * the same run. Where the output does not change, φ is 1.
 */
export async function fitTrust(references: readonly Reference[], options: FitOptions): Promise<number[]> {
  const phi: number[] = [];
  let before: tf.Tensor[] = [];
  await follow(references, options, async (i, _runs, looks) => {
    const perRow = options.reused[i]
      ? await inTurn(looks, async (look, r) => {
          const error = await rowDistances(look.rebuilt!, look.truth);
          const change = await rowDistances(look.truth, before[r]!);
          return error.map((e, row) => (change[row] === 0 ? 1 : Math.min(1, Math.max(0, 1 - e / change[row]!))));
        })
      : [[1]];
    phi.push(mean(perRow.flat()));
    for (const tensor of before) tensor.dispose();
    before = looks.map(look => look.truth.clone());
    return undefined;
  });
  for (const tensor of before) tensor.dispose();
  return phi;
}

/** One pair of coefficients for the whole output, or one for each of its channels. */
export type Granularity = 'scalar' | 'channel';

/** How far the least-squares target pulls a run back to the uncached trajectory within one step. */
const PULL = 0.5;
const RIDGE = 1e-5;

/**
 * Closed-form rectification, fitted in closed loop over the schedule.
 * - `linear`, `sigmoid`: the paper's K and B from the true error at the state that caching led to;
 * - `lsq`: a ridge regression of what is known on the output that leads half-way back to the uncached trajectory.
 */
export async function fitRectification(
  references: readonly Reference[],
  form: Exclude<RectifyForm, 'off'>,
  granularity: Granularity,
  options: FitOptions,
): Promise<Rectification> {
  if (form === 'lsq') return fitCombination(references, options);
  const { channelAxis } = references[0]!.job;
  const steps: (Affine | null)[] = [];
  await follow(references, options, async (i, _runs, looks) => {
    if (!options.reused[i]) {
      steps.push(null);
      return undefined;
    }
    const coefficients = await fitAffine(looks, granularity === 'channel' ? channelAxis : undefined);
    steps.push(coefficients);
    return looks.map(look => applyAffine(look.rebuilt!, coefficients, form, channelAxis));
  });
  return { form, channelAxis, steps };
}

async function fitAffine(looks: readonly Look[], axis: number | undefined): Promise<Affine> {
  const shape = looks[0]!.truth.shape;
  const channels = axis === undefined ? 1 : (shape[axis] as number);
  const inner = axis === undefined ? 1 : shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const fit = affineFit(channels);
  for (const look of looks) {
    const [rebuilt, truth] = [await look.rebuilt!.data<'float32'>(), await look.truth.data<'float32'>()];
    for (let n = 0; n < rebuilt.length; n++) {
      const value = rebuilt[n] as number;
      fit.add(Math.floor(n / inner) % channels, value, value - (truth[n] as number));
    }
  }
  return fit.solve();
}

async function fitCombination(references: readonly Reference[], options: FitOptions): Promise<Rectification> {
  const steps: (Combination | null)[] = [];
  await follow(references, options, async (i, runs, looks) => {
    if (!options.reused[i]) {
      steps.push(null);
      return undefined;
    }
    const terms = runs.map((run, r) => lsqTerms(looks[r]!.rebuilt!, run.sample(), run.outputs()));
    // Plain reuse makes the rebuilt output the last output again: one of two equal columns is enough.
    const duplicate = options.site.name === 'velocity' && options.predictor.depth === 1 ? 'last' : undefined;
    const names = LSQ_TERMS.filter(name => name === 'one' || (terms[0]![name] && name !== duplicate));
    const equations = normalEquations(names.length);
    for (const [r, run] of runs.entries()) {
      const target = await pulledTarget(references[r]!, run, i);
      const columns = await inTurn(names, async name =>
        name === 'one' ? new Float32Array(target.length).fill(1) : terms[r]![name]!.data<'float32'>(),
      );
      equations.add(columns, target);
    }
    const weights = equations.solve(
      names.map(name => (name === 'rebuilt' ? 1 : 0)),
      RIDGE,
    );
    const combination = Object.fromEntries(
      names.map((name, n) => [name, Math.fround(weights[n] as number)]),
    ) as Combination;
    steps.push(combination);
    return terms.map(t => combine(combination, t));
  });
  return { form: 'lsq', steps };
}

/** The output whose Euler step leaves `1 - PULL` of the distance to the uncached trajectory. */
async function pulledTarget(reference: Reference, run: Rehearsal, index: number): Promise<Float32Array> {
  const { sigma, sigmaNext } = run.step(index);
  const here = referenceAt(reference, sigma);
  const there = referenceAt(reference, sigmaNext);
  const [x, a, b] = [await run.sample().data<'float32'>(), await here.data<'float32'>(), await there.data<'float32'>()];
  here.dispose();
  there.dispose();
  const length = sigma - sigmaNext;
  return x.map((value, n) => {
    const aim = (b[n] as number) + (1 - PULL) * (value - (a[n] as number));
    return (value - aim) / length;
  }) as Float32Array;
}
