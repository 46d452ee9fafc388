/** How the step lengths answer to reuse: not, in the paper's form, or cycle by cycle; see `adjustGrid`. */
export type TimestepForm = 'off' | 'global' | 'cycle';

/** What a policy does to the noise levels of a run. */
export interface TimeAdjustment {
  /** `levels`: to these levels, whatever is reused. */
  readonly form: TimestepForm | 'levels';
  /** Trust in each step, in [0, 1], of `global` and `cycle`. */
  readonly phi: readonly number[];
  /** Falling noise levels of `levels`, one more than there are steps. */
  readonly levels?: readonly number[] | undefined;
}

/**
 * The noise levels that a run is to step over.
 * @param sigmas base noise levels, falling, length N + 1
 * @param reused which of the N steps are reused
 * @param adjustment how they are adjusted
 * @returns falling noise levels with the same two ends
 */
export function adjustedLevels(
  sigmas: readonly number[],
  reused: readonly boolean[],
  { form, phi, levels = sigmas }: TimeAdjustment,
): number[] {
  return form === 'levels' ? movedLevels(sigmas, levels) : adjustGrid(sigmas, reused, phi, form);
}

/** The levels, from where the run begins: those that lie above are spread over what is left up to the first below. */
function movedLevels(sigmas: readonly number[], levels: readonly number[]): number[] {
  const [start, end] = [sigmas[0] as number, sigmas.at(-1) as number];
  const below = levels.findIndex((level, i) => i > 0 && level < start);
  const first = below === -1 ? levels.length - 1 : below;
  const spread = (i: number): number => start - ((start - (levels[first] as number)) * i) / first;
  return levels.map((level, i) => (i === levels.length - 1 ? end : i < first ? spread(i) : level));
}

/** Below this share a reused step would have no length, and multistep solvers divide by their step's length. */
const LEAST_SHARE = 1e-3;

/**
 * Trajectory-aware timestep adjustment: a reused step of trust φ gets φ times the length of a computed one.
 *
 * - `global` (the paper's form): time that reused steps give up is shared over all steps that are left, in
 *   proportion to the base increments; the last step lands on the last noise level.
 * - `cycle`: computed steps keep their base times; a cycle (a computed step and the reused ones after it) shares
 *   its own time in the ratio 1 : φ : φ ….
 * @param sigmas base noise levels, falling, length N + 1
 * @param reused which of the N steps are reused
 * @param phi trust in each step, in [0, 1]; read at reused steps only
 * @param form which of the two; `off` gives the levels back
 * @returns falling noise levels with the same two ends
 */
export function adjustGrid(
  sigmas: readonly number[],
  reused: readonly boolean[],
  phi: readonly number[],
  form: TimestepForm,
): number[] {
  const share = (i: number): number => (reused[i] ? Math.max(LEAST_SHARE, Math.min(1, phi[i] as number)) : 1);
  switch (form) {
    case 'off':
      return [...sigmas];
    case 'global':
      return globalGrid(sigmas, share);
    case 'cycle':
      return cycleGrid(sigmas, reused, share);
  }
}

function globalGrid(sigmas: readonly number[], share: (i: number) => number): number[] {
  const last = sigmas.length - 1;
  const end = sigmas[last] as number;
  const grid = [sigmas[0] as number];
  for (let i = 0; i < last - 1; i++) {
    const [base, next, now] = [sigmas[i] as number, sigmas[i + 1] as number, grid[i] as number];
    const computedLength = ((now - end) * (base - next)) / (base - end);
    grid.push(now - computedLength * share(i));
  }
  return [...grid, end];
}

function cycleGrid(sigmas: readonly number[], reused: readonly boolean[], share: (i: number) => number): number[] {
  const last = sigmas.length - 1;
  const grid: number[] = [];
  for (let start = 0; start < last; ) {
    let end = start + 1;
    while (end < last && reused[end]) end++;
    const [from, to] = [sigmas[start] as number, sigmas[end] as number];
    // The base increment times the trust: on a uniform grid exactly the ratio 1 : φ : φ …
    const lengths = Array.from({ length: end - start }, (_, k) => {
      const i = start + k;
      return ((sigmas[i] as number) - (sigmas[i + 1] as number)) * share(i);
    });
    const total = lengths.reduce((a, b) => a + b, 0);
    let at = 0;
    for (const length of lengths) {
      grid.push(from - ((from - to) * at) / total);
      at += length;
    }
    start = end;
  }
  return [...grid, sigmas[last] as number];
}
