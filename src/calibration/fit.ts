import * as tf from '@tensorflow/tfjs-core';
import { POWERS, poweredTerm, weightsAt } from '../cache/by-guidance';
import { corrector } from '../cache/corrector';
import type { Affine, Combination, Rectification, RectifyForm } from '../cache/rectify';
import { mean } from '../metrics/statistics';
import { type Fitting, type FollowOptions, followAll } from './follow';
import { inTurn } from './in-turn';
import {
  affineFit,
  fitDecibels,
  type Moments,
  momentsOf,
  rememberedProducts,
  timesFactors,
  type Variable,
} from './least-squares';
import { type Reference, referenceAt } from './reference';
import { type Look, type Rehearsal, rowDistances } from './rehearsal';

/** How many past computed outputs a least-squares combination is fitted on. */
const DEFAULT_DEPTH = 3;

export interface FitOptions extends FollowOptions {
  readonly reused: readonly boolean[];
  /** How many past computed outputs a least-squares combination may weigh; 3 unless given. */
  readonly depth?: number | undefined;
  /**
   * Whether least squares corrects computed outputs from the first on, where no run has drifted yet: a step that passes over
   * levels of the uncached run is straight, and the uncached run was not.
   */
  readonly fromFirst?: boolean | undefined;
}

/**
 * Trust in every reused step (method section 5): `φ = clip(1 - |ṽ - v| / |v - v_before|, 0, 1)`, the mean over the
 * calibration pairs. `ṽ` is the rebuilt output before rectification; `v_before` the true output one step earlier on
 * the same run. Where the output does not change, φ is 1.
 */
export async function fitTrust(references: readonly Reference[], options: FitOptions): Promise<number[]> {
  const phi: number[] = [];
  let before: tf.Tensor[] = [];
  const fitting: TrustFitting = {
    want: 'both',
    corrections: () => corrector({ form: 'off' }),
    // It is fitted on one schedule.
    fork: () => fitting,
    async atStep({ reused }, _runs, looks) {
      const perRow = reused
        ? await inTurn(looks, async ({ truth, guess }, r) => {
            const error = await rowDistances(guess!.output.value, truth!.output.value);
            const change = await rowDistances(truth!.output.value, before[r]!);
            return error.map((e, row) => (change[row] === 0 ? 1 : Math.min(1, Math.max(0, 1 - e / change[row]!))));
          })
        : [[1]];
      phi.push(mean(perRow.flat()));
      tf.dispose(before);
      before = looks.map(look => look.truth!.output.value.clone());
    },
  };
  await followAll(references, [options.reused], () => fitting, options).finally(() => tf.dispose(before));
  return phi;
}

interface TrustFitting extends Fitting<TrustFitting> {}

/** One pair of coefficients for the whole output, or one for each of its channels. */
export type Granularity = 'scalar' | 'channel';

/** A fitted rectification and how well the calibration runs ended with it. */
export interface FittedRectification {
  readonly rectify: Rectification;
  /** Mean squared error of every calibration row's final latent. */
  readonly errors: readonly number[];
}

const RIDGE = 1e-6;

/** How rectifications are fitted, whatever the schedule. */
export type FitAllOptions = Omit<FitOptions, 'reused'>;

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
  const [fitted] = await fitRectifications(references, [options.reused], form, granularity, options);
  return fitted as FittedRectification;
}

/** The rectifications of several schedules, in their order; what schedules have in common at the beginning is run once. */
export async function fitRectifications(
  references: readonly Reference[],
  schedules: readonly (readonly boolean[])[],
  form: RectifyForm,
  granularity: Granularity,
  options: FitAllOptions,
): Promise<FittedRectification[]> {
  const begin = (): RectificationFitting => {
    switch (form) {
      case 'off':
        return uncorrected;
      case 'lsq':
        return combinationFitting(references, options);
      default: {
        const { channelAxis } = references[0]!.job;
        return affineFitting(form, channelAxis, granularity === 'channel' ? channelAxis : undefined);
      }
    }
  };
  const followed = await followAll(references, schedules, begin, options);
  return followed.map(({ fitting, errors }) => ({ rectify: fitting.rectify, errors }));
}

/** Fits a rectification step by step. */
interface RectificationFitting extends Fitting<RectificationFitting> {
  readonly rectify: Rectification;
}

const uncorrected: RectificationFitting = {
  rectify: { form: 'off' },
  want: 'guess',
  corrections: () => corrector({ form: 'off' }),
  async atStep() {},
  fork: () => uncorrected,
};

function affineFitting(
  form: 'linear' | 'sigmoid',
  channelAxis: number,
  axis: number | undefined,
  known: readonly (Affine | null)[] = [],
): RectificationFitting {
  const steps = [...known];
  const rectify: Rectification = { form, channelAxis, steps };
  return {
    rectify,
    want: 'both',
    corrections: () => corrector(rectify),
    async atStep({ reused }, _runs, looks) {
      steps.push(reused ? await fitAffine(looks, axis) : null);
    },
    fork: () => affineFitting(form, channelAxis, axis, steps),
  };
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

function combinationFitting(
  references: readonly Reference[],
  options: FitAllOptions,
  known: readonly (Combination | null)[] = [],
  seen: Seen = seenColumns(),
): RectificationFitting {
  const { site, predictor, depth = DEFAULT_DEPTH } = options;
  const steps = [...known];
  const rectify: Rectification = { form: 'lsq', steps };
  // The weights of every run at its own guidance; where all have one, those that are fitted.
  const own = references.map(({ place }) => ({
    form: 'lsq' as const,
    steps: place === undefined ? steps : known.map(step => step && weightsAt(step, place)),
  }));
  const take = (weights: Combination | null): void => {
    steps.push(weights);
    for (const [r, { place }] of references.entries()) {
      if (place !== undefined) own[r]?.steps.push(weights && weightsAt(weights, place));
    }
  };
  // Plain reuse makes the rebuilt output the last output again: one of two equal columns is enough.
  const reusesLast = site.name === 'velocity' && predictor.depth === 1 && depth > 0;
  const isCopy = (term: string, reused: boolean): boolean => reused && reusesLast && term.endsWith('.0');
  return {
    rectify,
    want: 'guess',
    corrections: run => corrector(own[run] ?? rectify, depth),
    fork: () => combinationFitting(references, options, steps, seen),
    async atStep({ index, reused }, runs, looks) {
      // A computed output is right as it is where no run has drifted yet, or where nobody can say what leads back.
      const mayLead = options.fromFirst || steps.some(step => step !== null);
      if (!reused && !(runs[0]!.canAim && mayLead)) {
        take(null);
        return;
      }
      const terms = runs.map((run, r) => {
        const { guess, truth } = looks[r]!;
        return run.terms((reused ? guess : truth)!.output);
      });
      const names = [...Object.keys(terms[0]!).filter(name => !isCopy(name, reused)), 'one'];
      const rows: Moments[] = [];
      for (const [r, run] of runs.entries()) {
        const target = await pulledTarget(references[r]!, run, index);
        const columns = await inTurn(names, async name =>
          name === 'one' ? seen.ones(target) : seen.rows(terms[r]![name]!),
        );
        const { place } = references[r]!;
        const powers = place === undefined ? undefined : POWERS.map(power => place ** power);
        for (const moments of momentsOf(columns, target, seen.products)) {
          rows.push(powers ? timesFactors(moments, powers) : moments);
        }
      }
      const weights = fitDecibels(rows, RIDGE);
      const powered =
        references[0]!.place === undefined
          ? names
          : names.flatMap(name => POWERS.map(power => poweredTerm(name, power)));
      take(Object.fromEntries(powered.map((name, n) => [name, Math.fround(weights[n] as number)])));
    },
  };
}

/**
 * What a corrected output should be: where the solver can say which output leads back to the uncached trajectory in one
 * step, that one; otherwise the output that the uncached run had here.
 */
async function pulledTarget(reference: Reference, run: Rehearsal, index: number): Promise<Variable> {
  const target = tf.tidy(() => {
    const there = referenceAt(reference, run.step(index).sigmaNext);
    return run.aim(index, there) ?? (reference.outputs[index] as tf.Tensor).clone();
  });
  const rows = await rowsOf(target);
  target.dispose();
  return rows;
}

/** The numbers of every row. */
async function rowsOf(tensor: tf.Tensor): Promise<Variable> {
  const values = await tensor.data<'float32'>();
  const count = tensor.shape[0] as number;
  const size = values.length / count;
  return Array.from({ length: count }, (_, row) => values.subarray(row * size, (row + 1) * size));
}

type Seen = ReturnType<typeof seenColumns>;

/** The numbers of tensors and their products, read and summed once as long as the tensors live. */
function seenColumns() {
  const read = new WeakMap<object, Promise<Variable>>();
  let one: readonly Float32Array[] = [];
  return {
    products: rememberedProducts(),
    rows(tensor: tf.Tensor): Promise<Variable> {
      const rows = read.get(tensor.dataId) ?? rowsOf(tensor);
      read.set(tensor.dataId, rows);
      return rows;
    },
    ones(like: Variable): Variable {
      const isAlike = one.length === like.length && one[0]?.length === like[0]?.length;
      if (!isAlike) one = like.map(({ length }) => new Float32Array(length).fill(1));
      return one;
    },
  };
}
