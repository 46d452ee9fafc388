import type { Tensor } from '@tensorflow/tfjs-core';
import type { Media } from '../media/pixels';
import type { Job, Pipeline } from './pipeline';
import type { Estimate } from './sample-loop';

/** Pictures on the way to a picture: what single steps predict, decoded. */
export interface Previews {
  /** How many, evenly spread over the run; fewer where it has fewer steps. Or one after every so many steps. */
  readonly count: number | { readonly every: number };
  /**
   * Called before the step is taken; a promise is awaited.
   * @param media the latent of a row, decoded
   * @param index which preview, from 0
   * @param row which picture of a batch, from 0
   */
  show(media: Media, index: number, row: number): void | Promise<void>;
}

/**
 * The steps whose predictions are shown: they part the run into `count + 1` parts, and the last step, which ends in the
 * picture itself, is none of them.
 */
export function previewSteps(steps: number, count: Previews['count']): number[] {
  if (typeof count === 'object') {
    const shown = Math.floor((steps - 1) / count.every);
    return Array.from({ length: Math.max(0, shown) }, (_, i) => (i + 1) * count.every - 1);
  }
  const at = Array.from({ length: count }, (_, i) => Math.floor(((i + 1) * steps) / (count + 1)) - 1);
  return [...new Set(at.filter(step => step >= 0 && step < steps - 1))];
}

/** Shows what a run's steps predict as pictures. The previews of a run cost one decoding each. */
export function estimateFor(
  pipeline: Pipeline,
  { size }: Pick<Job, 'size'>,
  { count, show }: Previews,
  signal: AbortSignal | undefined,
): Estimate {
  let all: readonly number[] = [];
  return {
    wanted(index, steps) {
      all = previewSteps(steps, count);
      return all.includes(index);
    },
    async show(latents: Tensor, index) {
      const rows = await pipeline.decode(latents, size, { ...(signal && { signal }) });
      for (const [row, media] of rows.entries()) await show(media, all.indexOf(index), row);
    },
  };
}
