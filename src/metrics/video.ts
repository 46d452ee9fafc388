import { ShapeError } from '../errors';
import { asWritten, type Clip, frames, type Image, type Media } from '../media/pixels';
import { psnr } from './psnr';
import { assertSameShape } from './shapes';
import { mean } from './statistics';

/** Compares two images. */
export type ImageMetric = (a: Image, b: Image) => number;

/** A metric over clips, at each level at which it was averaged. */
export interface ClipScores {
  /** `[clip][frame]` */
  perFrame: number[][];
  /** Mean over the clips, for each frame index. */
  perIndex: number[];
  /** Mean over the frame indices. */
  value: number;
}

/** `metric` of each frame of two clips; of two images, its one value. */
export function perFrame(metric: ImageMetric, a: Media, b: Media): number[] {
  assertSameShape(a, b);
  const others = frames(b);
  return frames(a).map((frame, i) => metric(frame, others[i]!));
}

/** PSNR in dB of each frame of two clips, or of two images, as files show them: of the 8-bit pixels. */
export const writtenPsnr = (a: Media, b: Media): number[] => perFrame(psnr, asWritten(a), asWritten(b));

/**
 * `metric` over pairs of clips of one length: per frame, then the mean over the clips for each frame index, then the
 * mean over the indices. PSNR is averaged in decibels.
 *
 * Source: TeaCache's evaluation, `common_metrics`.
 */
export function overClips(metric: ImageMetric, pairs: readonly (readonly [a: Clip, b: Clip])[]): ClipScores {
  const scores = pairs.map(([a, b]) => perFrame(metric, a, b));
  const length = scores[0]?.length ?? 0;
  if (length === 0 || scores.some(row => row.length !== length)) {
    throw new ShapeError('Clips that are averaged per frame need one length.', { hint: 'Compare them one by one.' });
  }
  const perIndex = Array.from({ length }, (_, i) => mean(scores.map(row => row[i]!)));
  return { perFrame: scores, perIndex, value: mean(perIndex) };
}
