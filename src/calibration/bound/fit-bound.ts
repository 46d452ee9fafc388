import { type BoundTerm, type ByConfidence, type EachBound, estimateOf, type FidelityBound } from '../../cache/bound';
import { type Signals, signalNames } from '../../cache/signal';
import { reachedBy } from './conformal';
import { ridge } from './ridge';

/** What was seen of one pair. */
export interface Observation {
  /** Of the 8-bit pixels of the cached picture to those of the uncached one, in dB. */
  readonly psnr: number;
  /** Its signals, by step. */
  readonly signals: ReadonlyMap<number, Signals>;
}

/** Fewer pairs give no bound of 90 %. */
export const LEAST_BOUND_PAIRS = 9;
/** A bound for each picture needs pairs for its fit, and as many for its margin. */
export const LEAST_FOR_EACH = 64;
/** Beyond this no difference can be seen, and identical pictures should not draw the fit. */
const ENOUGH_DB = 80;
/** An estimate that leaves more of the variance than this is not worth its error. */
const WORTHWHILE = 0.95;
/** Signals that are not larger say nothing: their logarithm would be noise. */
const LEAST_SIGNAL = 1e-6;

type Found = Pick<FidelityBound, 'all' | 'each'>;

/** The bounds that pairs give which neither the fit of the policy nor a choice has seen. */
export function fitBound(seen: readonly Observation[]): Found {
  const all = reachedBy(seen.map(({ psnr }) => psnr)).map(rounded);
  if (seen.length < LEAST_FOR_EACH) return { all };
  // The margin has to come from pairs that the estimate was not fitted on.
  const estimate = fitEstimate(seen.filter((_, i) => i % 2 === 0));
  if (!estimate) return { all };
  const above = seen
    .filter((_, i) => i % 2 === 1)
    .map(({ psnr, signals }) => psnr - (estimateOf(estimate, step => signals.get(step)) as number));
  const margins = reachedBy(above)
    .map(rounded)
    .map(({ confidence, dB }) => ({ confidence, dB: -dB }));
  return { all, each: { ...estimate, margins } };
}

type Estimate = Omit<EachBound, 'margins'>;

function fitEstimate(seen: readonly Observation[]): Estimate | undefined {
  const steps = [...(seen[0]?.signals.keys() ?? [])];
  const candidates = steps.flatMap(step =>
    signalNames.flatMap((signal): Omit<BoundTerm, 'weight'>[] => {
      const values = seen.map(({ signals }) => signals.get(step)?.[signal] ?? 0);
      const to = Math.max(...values);
      return to > LEAST_SIGNAL ? [{ step, signal, from: Math.max(LEAST_SIGNAL, Math.min(...values)), to }] : [];
    }),
  );
  const rows = seen.map(({ signals }) =>
    candidates.map(({ step, signal, from }) => Math.log(Math.max(from, signals.get(step)?.[signal] ?? 0))),
  );
  const { base, weights, errors } = ridge(
    rows,
    seen.map(({ psnr }) => Math.min(ENOUGH_DB, psnr)),
  );
  if (errors.left > WORTHWHILE * errors.before) return undefined;
  const terms = candidates
    .map((term, i) => ({ ...term, weight: weights[i] as number }))
    .filter(({ weight }) => weight !== 0);
  return { base, terms, most: ENOUGH_DB };
}

/** Hundredths of a decibel, down: a bound must not grow by it. */
const rounded = ({ confidence, dB }: ByConfidence): ByConfidence => ({ confidence, dB: Math.floor(dB * 100) / 100 });
