import { UsageError } from '../errors';
import { MOST } from '../io/counts';

/** How the times of a run are laid out. Every scheduler takes what it needs of this. */
export interface GridOptions {
  /** Denoising steps. */
  readonly steps: number;
  /** Noise levels before shifting, instead of the scheduler's own; flow-type schedulers only. */
  readonly sigmas?: readonly number[] | undefined;
  /** Strength of a dynamic shift; required where the configuration shifts dynamically. */
  readonly mu?: number | undefined;
  /** A fixed shift in place of the configuration's own; flow-type schedulers only. */
  readonly shift?: number | undefined;
  /** Height of the picture in pixels; Open-Sora shifts by the size. */
  readonly height?: number | undefined;
  /** Width of the picture in pixels. */
  readonly width?: number | undefined;
  /** Frames of the clip. */
  readonly frames?: number | undefined;
}

/** @throws UsageError unless `options` ask for at least one step, not for more than there is time for, and for as many as they give noise levels */
export function requireSteps({ steps, sigmas }: GridOptions): void {
  if (!Number.isInteger(steps) || steps < 1) {
    throw new UsageError(`A run needs a whole number of steps, at least 1; ${steps} was asked for.`);
  }
  if (steps > MOST.steps) throw new UsageError(`A run has at most ${MOST.steps} steps; ${steps} were asked for.`);
  if (sigmas && sigmas.length !== steps) {
    throw new UsageError(`${steps} steps need ${steps} sigmas; ${sigmas.length} were given.`);
  }
}

/**
 * `count` numbers from `start` to `stop`, in the order of operations of NumPy: the last bit decides where a time is
 * cut to an integer.
 */
export function evenlySpaced(start: number, stop: number, count: number): number[] {
  if (count === 1) return [start];
  const step = (stop - start) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? stop : i * step + start));
}

/** A noise level pushed towards noise: `s·σ / (1 + (s - 1)·σ)`. Both ends stay. */
export function shifted(sigma: number, shift: number): number {
  return (shift * sigma) / (1 + (shift - 1) * sigma);
}
