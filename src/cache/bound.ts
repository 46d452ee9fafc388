import type { SignalName, Signals } from './signal';

/** What a signal of one step adds to the estimate of a picture's fidelity. */
export interface BoundTerm {
  /** The computed step that shows it, from 0. */
  readonly step: number;
  /** Which signal. */
  readonly signal: SignalName;
  /** Decibels for each natural logarithm of it. */
  readonly weight: number;
  /** Smallest value that was seen; a smaller one is taken as this. */
  readonly from: number;
  /** Largest value that was seen; a larger one is taken as this. */
  readonly to: number;
}

/** A value for each of some confidences. */
export interface ByConfidence {
  /** Share of pictures for which a bound holds, such as 0.9. */
  readonly confidence: number;
  /** Decibels. */
  readonly dB: number;
}

/**
 * Lower bounds on how like a picture is to the uncached one of the same prompt and seed: PSNR of the 8-bit pixels, in dB,
 * found by split-conformal prediction on pairs that neither the fit nor a choice of the policy has seen.
 */
export interface FidelityBound {
  /** Of the latents of one picture: a bound says nothing of pictures of another size. */
  readonly shape: readonly number[];
  /** What so many of all pictures reach, by confidence. */
  readonly all: readonly ByConfidence[];
  /** What tells more of each picture, where something does. */
  readonly each?: EachBound | undefined;
}

/** A bound of each picture by itself: an estimate from what its steps show, less a margin. */
export interface EachBound {
  /** The estimate where all terms are 0, in dB. */
  readonly base: number;
  /** What is added to it. */
  readonly terms: readonly BoundTerm[];
  /** The largest estimate, in dB. */
  readonly most: number;
  /** What the estimate is too large by at most, for so many pictures. */
  readonly margins: readonly ByConfidence[];
}

/** What a picture's PSNR to the uncached one is at least, with what confidence. */
export interface Bound {
  /** Of the 8-bit pixels, in dB. */
  readonly psnr: number;
  /** Share of pictures for which such a bound holds. */
  readonly confidence: number;
}

/** In place of a bound for runs that are unlike those that it was measured on: they have none, and say so. */
export const noBound = (bound: FidelityBound | undefined): FidelityBound | undefined =>
  bound && { shape: bound.shape, all: [] };

/** The confidence of the bound that every run tells. */
export const USUAL_CONFIDENCE = 0.9;

/** The steps whose signals a bound needs. */
export const stepsOf = ({ each }: FidelityBound): number[] => [...new Set(each?.terms.map(({ step }) => step))];

/** Tenths of a decibel, down; no PSNR is below 0. */
const tenths = (dB: number): number => Math.max(0, Math.floor(dB * 10) / 10);

/** The smallest confidence that is at least the one asked for. */
export function atLeast(list: readonly ByConfidence[], confidence: number): ByConfidence | undefined {
  return list
    .filter(entry => entry.confidence >= confidence - 1e-9)
    .reduce<ByConfidence | undefined>((a, b) => (a && a.confidence <= b.confidence ? a : b), undefined);
}

/**
 * What one picture keeps at least.
 * @param at the picture's signals at a step
 * @returns nothing where no bound of this confidence is known
 */
export function boundOf(
  { all, each }: FidelityBound,
  at: (step: number) => Signals | undefined,
  confidence = USUAL_CONFIDENCE,
): Bound | undefined {
  const common = atLeast(all, confidence);
  const margin = each && atLeast(each.margins, confidence);
  if (!each || !margin) return common && { psnr: tenths(common.dB), confidence: common.confidence };
  const estimate = estimateOf(each, at);
  if (estimate === undefined) return undefined;
  return { psnr: tenths(estimate - margin.dB), confidence: margin.confidence };
}

/** What a picture's PSNR probably is; nothing where a step did not show what is needed. */
export function estimateOf(
  { base, terms, most }: Omit<EachBound, 'margins'>,
  at: (step: number) => Signals | undefined,
): number | undefined {
  let sum = base;
  for (const { step, signal, weight, from, to } of terms) {
    const value = at(step)?.[signal];
    if (value === undefined) return undefined;
    sum += weight * Math.log(Math.min(to, Math.max(from, value)));
  }
  return Math.min(most, sum);
}
