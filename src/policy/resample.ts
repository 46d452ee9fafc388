import { PolicyError } from '../errors';
import { computedSteps, type Policy, reusedOf, scheduleOf } from './data';

/** Noise levels closer than this are the same; as in `requireFits`. */
const SAME_SIGMA = 1e-4;
/** A policy has at least this many steps. */
const LEAST_STEPS = 4;

/**
 * The noise levels of another number of steps on the same flow-matching schedule: evenly spaced times, shifted as
 * `s t / (1 + (s - 1) t)`, of which the shift is read off the levels given.
 * @returns nothing when the levels are not of that form
 */
export function resampleSigmas(sigmas: readonly number[], steps: number): number[] | undefined {
  const known = sigmas.length - 1;
  const second = sigmas[1] as number;
  const time = 1 - 1 / known;
  const shift = (second * (1 - time)) / (time * (1 - second));
  const level = (t: number): number => Math.fround((shift * t) / (1 + (shift - 1) * t));
  const grid = (count: number): number[] => Array.from({ length: count + 1 }, (_, i) => level(1 - i / count));
  const fits = grid(known).every((s, i) => Math.abs(s - (sigmas[i] as number)) < SAME_SIGMA);
  return fits ? grid(steps) : undefined;
}

/**
 * A policy for another number of steps. Its schedule is taken as a density over the noise level: computed steps are
 * placed so that their number so far, as a share of all, is the same at every level. φ is interpolated over the noise
 * level. The rectification belongs to the very steps it was fitted on and is left out, as are the measurements and what runs
 * looked like at one of them.
 * @param sigmas noise levels of the new run
 */
export function resamplePolicy({ data }: Policy, sigmas: readonly number[]): Policy {
  const steps = sigmas.length - 1;
  if (steps < LEAST_STEPS) {
    throw new PolicyError(`A policy cannot have fewer than ${LEAST_STEPS} steps; ${steps} were asked for.`);
  }
  const reused = resampleSchedule(reusedOf(data.schedule), data.sigmas, sigmas);
  // Levels that were found for one number of steps say nothing of another.
  const form = data.timestep.form === 'levels' ? 'off' : data.timestep.form;
  const phi = form === 'off' ? [] : resamplePhi(data, reused, sigmas);
  const dropped = data.rectify.form === 'off' ? '' : '; its rectification is left out';
  const note = `resampled from ${data.sigmas.length - 1} steps${dropped}`;
  const { gap: _gap, ...calibration } = data.calibration;
  const { bound: _bound, ...rest } = data;
  return {
    rectify: { form: 'off' },
    data: {
      ...rest,
      calibration,
      sigmas: [...sigmas],
      schedule: scheduleOf(reused),
      timestep: { form, phi },
      rectify: { form: 'off' },
      search: { ...data.search, note: data.search.note ? `${data.search.note}; ${note}` : note },
      measured: {},
    },
  };
}

/** Noise levels are stored in float32, and their rounding must not decide whether a step is due. */
const EPSILON = 1e-3;

/** Which steps of the new run are reused. */
export function resampleSchedule(
  reused: readonly boolean[],
  from: readonly number[],
  to: readonly number[],
): boolean[] {
  const steps = to.length - 1;
  const computed = computedSteps(reused);
  const wanted = Math.max(1, Math.round((computed * steps) / reused.length));
  // Computed steps up to each noise level, each spread over the levels that it spans.
  const counts = [0];
  for (const r of reused) counts.push((counts.at(-1) as number) + (r ? 0 : 1));
  const due = (sigma: number): number => (interpolate(sigma, from, counts) * wanted) / computed;
  let placed = 0;
  const result = to.slice(1).map(next => {
    const compute = placed < wanted && due(next) > placed + EPSILON;
    if (compute) placed++;
    return !compute;
  });
  // What the last steps had no room for goes before them.
  for (let i = steps - 1; placed < wanted && i > 0; i--) {
    if (!result[i]) continue;
    result[i] = false;
    placed++;
  }
  return result;
}

function resamplePhi(data: Policy['data'], reused: readonly boolean[], sigmas: readonly number[]): number[] {
  // Trust is fitted at reused steps; that of computed ones says nothing.
  const known = reusedOf(data.schedule).flatMap((r, i) => (r ? [i] : []));
  if (known.length === 0) return reused.map(() => 1);
  const levels = known.map(i => data.sigmas[i] as number);
  const values = known.map(i => data.timestep.phi[i] as number);
  return reused.map((r, i) => (r ? interpolate(sigmas[i] as number, levels, values) : 1));
}

/** The value at `sigma`, straight between those at falling `levels`; beyond their ends, the value there. */
function interpolate(sigma: number, levels: readonly number[], values: readonly number[]): number {
  const after = levels.findIndex(level => level <= sigma);
  if (after === -1) return values.at(-1) as number;
  if (after === 0) return values[0] as number;
  const [from, to] = [levels[after - 1] as number, levels[after] as number];
  const share = (from - sigma) / (from - to);
  return (values[after - 1] as number) * (1 - share) + (values[after] as number) * share;
}
