import { bootstrapInterval } from '../../metrics/bootstrap';
import { quantileInterval } from '../../metrics/quantile';
import { shareInterval } from '../../metrics/share';
import {
  type Interval,
  mean,
  meanInterval,
  median,
  pairedDifference,
  standardDeviation,
} from '../../metrics/statistics';
import { worstOfDifference, worstOfInterval } from '../../metrics/worst-of';
import { type Cell, type Comparison, cellOf, type PairResult, titleOf } from './comparison';

/** A metric over pairs. */
export interface Spread extends Interval {
  readonly std: number;
  readonly worst: number;
}

/**
 * Of how many pictures the worst one is told. The worst of all would depend on how many were measured, and be one
 * picture's word.
 */
export const GROUP = 32;

/** One method at one budget, over all pairs. */
export interface Summary {
  readonly method: string;
  readonly title: string;
  readonly budget: number;
  readonly setting?: string;
  /** Computed steps and forward passes of a run, on average. */
  readonly computed: number;
  readonly forwards: number;
  /** Of the 8-bit pixels, as are SSIM and LPIPS. */
  readonly psnr: Spread;
  /** Shares of the pictures whose PSNR is lower: beyond 40 dB a difference is hard to see, below 30 dB it is plain. */
  readonly below40: Interval;
  readonly below30: Interval;
  /** The PSNR that a tenth of the pictures does not reach. */
  readonly tenth: Interval;
  /** PSNR of the pixels in floating point, before they are rounded to 8 bits. */
  readonly floatPsnr: Spread;
  readonly ssim: Spread;
  readonly lpips?: Spread;
  /** In 8-bit pixels, where that was measured: the share that differs, and each picture's largest difference. */
  readonly levels?: { readonly differing: Spread; readonly largest: Spread };
  /** Seconds of a run of one pair, and how much faster than the uncached run beside it: medians. */
  readonly seconds?: number;
  readonly speedup?: number;
  readonly flops?: number;
  readonly cacheBytes: number;
  /** PSNR of the method that others are compared with, minus this one's, pair by pair; absent for that method. */
  readonly behind?: Interval;
  /** Pairs on which that method is nearer to the uncached picture. */
  readonly losses?: number;
  /** PSNR of the worst of `GROUP` pictures, on average; of no more pictures than that, of the worst one. */
  readonly worstOfGroup: Interval;
  /** The same of the method that others are compared with, minus this one's; absent where too few pairs tell. */
  readonly worstBehind?: Interval;
}

/**
 * @param worse tells which of two values is the worse one
 * @param interval of the mean: by Student's t, or for values that have bounds by the bootstrap
 */
function spread(values: readonly number[], worse: (a: number, b: number) => number, interval = meanInterval): Spread {
  return { ...interval(values), std: standardDeviation(values), worst: values.reduce((a, b) => worse(a, b)) };
}

/** Every cell of a comparison in numbers, in the order of budgets and methods. */
export function summarise(comparison: Comparison): Summary[] {
  const { budgets, methods } = comparison.request;
  return budgets.flatMap(budget =>
    methods.flatMap(method => {
      const cell = cellOf(comparison, method, budget);
      return cell ? [summariseCell(comparison, cell)] : [];
    }),
  );
}

function summariseCell(comparison: Comparison, cell: Cell): Summary {
  const { pairs, timing } = cell;
  const of = (pick: (pair: PairResult) => number): number[] => pairs.map(pick);
  const lpips = pairs.flatMap(p => p.lpips ?? []);
  const levels = pairs.flatMap(p => p.levels ?? []);
  const rival = cellOf(comparison, comparison.request.against, cell.budget);
  const compared = rival && rival.method !== cell.method ? rival : undefined;
  const own = of(p => p.psnr);
  const theirs = compared?.pairs.map(p => p.psnr);
  const worstBehind = theirs && worstOfDifference(theirs, own, GROUP);
  return {
    method: cell.method,
    title: titleOf(comparison, cell.method),
    budget: cell.budget,
    ...(cell.setting !== undefined && { setting: cell.setting }),
    computed: mean(of(p => p.computed)),
    forwards: mean(of(p => p.forwards)),
    psnr: spread(own, Math.min),
    below40: shareInterval(own.map(psnr => psnr < 40)),
    below30: shareInterval(own.map(psnr => psnr < 30)),
    tenth: quantileInterval(own, 0.1),
    floatPsnr: spread(
      of(p => p.floatPsnr),
      Math.min,
    ),
    ssim: spread(
      of(p => p.ssim),
      Math.min,
      bootstrapInterval,
    ),
    ...(lpips.length > 0 && { lpips: spread(lpips, Math.max) }),
    ...(levels.length > 0 && {
      levels: {
        differing: spread(
          levels.map(l => l.differing),
          Math.max,
        ),
        largest: spread(
          levels.map(l => l.largest),
          Math.max,
        ),
      },
    }),
    ...(timing && {
      seconds: median(timing.cached),
      speedup: median(timing.uncached.map((seconds, i) => seconds / (timing.cached[i] as number))),
    }),
    ...(cell.flops !== undefined && { flops: cell.flops }),
    cacheBytes: cell.cacheBytes,
    worstOfGroup: worstOfInterval(own, GROUP),
    ...(theirs && {
      behind: pairedDifference(theirs, own),
      losses: theirs.filter((psnr, i) => psnr > (own[i] as number)).length,
    }),
    ...(worstBehind && { worstBehind }),
  };
}

/** The same difference seen from the other side. */
export function reversed({ count, mean, standardError, low, high }: Interval): Interval {
  return { count, mean: -mean, standardError, low: -high, high: -low };
}

/** A likeness that every use should keep. */
export interface Demand {
  /** Mean PSNR and that of the worst of `GROUP` pictures, in dB. */
  readonly mean: number;
  readonly worst: number;
}

/** Differences beyond can hardly be seen, and no single picture may fall apart. */
export const USUAL_DEMAND: Demand = { mean: 40, worst: 30 };

/** The fewest forward passes with which a method meets a demand. */
export interface Fewest {
  readonly method: string;
  readonly title: string;
  /** The cell that meets it at least cost; absent where none of those measured does. */
  readonly met?: Summary;
}

/** For each method, the cell with the fewest forward passes that meets the demand, over the budgets measured. */
export function fewestForwards(comparison: Comparison, demand: Demand = USUAL_DEMAND): Fewest[] {
  const all = summarise(comparison);
  return comparison.request.methods.flatMap(method => {
    const own = all.filter(s => s.method === method);
    if (own.length === 0) return [];
    const [met] = own
      .filter(s => s.psnr.mean >= demand.mean && s.worstOfGroup.mean >= demand.worst)
      .sort((a, b) => a.forwards - b.forwards);
    return [{ method, title: titleOf(comparison, method), ...(met && { met }) }];
  });
}
