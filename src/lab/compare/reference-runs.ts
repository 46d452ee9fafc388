import { pairsRequest } from '../../calibration/jobs';
import { batches } from '../../calibration/pairs';
import type { Media } from '../../media/pixels';
import type { Pair } from '../../policy/pair';
import type { Pipeline } from '../../sampling/pipeline';
import { runJob } from '../../sampling/run-job';
import { pictureName, REFERENCE } from './names';
import type { Store } from './store';
import { watchChanges } from './watch-changes';

/** How the pairs of a comparison run. */
export interface PairRuns {
  readonly pipeline: Pipeline;
  readonly evaluation: readonly Pair[];
  readonly steps: number;
  readonly guidance: number;
  readonly batch: number;
  readonly signal?: AbortSignal;
  /** Told of forward passes of one pair as they are done. */
  readonly onPasses: (count: number) => void;
}

/**
 * Batches of evaluation pairs whose uncached pictures are not kept yet. The rows of the JSON, which are written last,
 * vouch for the pictures: pixels without rows are of a run that was cut between the two.
 */
export async function missingReferences(store: Store, { evaluation, batch }: PairRuns): Promise<number[]> {
  const { changes, seconds } = store.comparison.reference;
  const missing: number[] = [];
  for (const [b, { group, from }] of placedBatches(evaluation, batch).entries()) {
    const rows = group.map((_, i) => from + i);
    const isNoted = rows.every(row => changes[row] && seconds[row] !== undefined);
    if (!isNoted || !(await store.hasPixels(b))) missing.push(b);
  }
  return missing;
}

/** Runs the uncached pictures of the batches that are missing; each is kept as soon as it is done. */
export async function runReferences(store: Store, runs: PairRuns, missing: readonly number[]): Promise<void> {
  const placed = placedBatches(runs.evaluation, runs.batch);
  for (const b of missing) {
    const { group, from } = placed[b] as PlacedBatch;
    const watch = watchChanges();
    const job = await prepare(runs, group);
    try {
      const result = await runJob(runs.pipeline, job, watch.policy, {
        ...(runs.signal && { signal: runs.signal }),
        onStep: () => runs.onPasses(group.length),
      });
      const changes = await watch.changes();
      const { reference } = store.comparison;
      reference.sigmas = [...job.sigmas];
      for (const [row, media] of result.media.entries()) {
        reference.changes[from + row] = changes[row] as (number | null)[];
        reference.seconds[from + row] = result.seconds / group.length;
        await store.keepPicture(pictureName(REFERENCE, from + row), media);
      }
      await store.keepPixels(b, result.media);
      await store.save();
    } finally {
      job.release();
    }
  }
}

/** A job of some pairs. */
export function prepare(runs: PairRuns, group: readonly Pair[]) {
  return runs.pipeline.prepare(pairsRequest(group, runs));
}

/** A batch of pairs, and which of all pairs is its first: some batches are smaller, see `batches`. */
export interface PlacedBatch {
  readonly group: readonly Pair[];
  readonly from: number;
}

export function placedBatches(evaluation: readonly Pair[], batch: number): PlacedBatch[] {
  let from = 0;
  return batches(evaluation, batch).map(group => {
    const placed = { group, from };
    from += group.length;
    return placed;
  });
}

/** The uncached picture of an evaluation pair, from the batch that was read last where that has it. */
export function referenceReader(
  store: Store,
  { evaluation, batch }: Pick<PairRuns, 'evaluation' | 'batch'>,
): (index: number) => Promise<Media> {
  const placed = placedBatches(evaluation, batch);
  let read: { readonly batch: number; readonly media: readonly Media[] } | undefined;
  return async index => {
    const wanted = placed.findLastIndex(({ from }) => from <= index);
    if (read?.batch !== wanted) read = { batch: wanted, media: await store.pixels(wanted) };
    return read.media[index - (placed[wanted] as PlacedBatch).from] as Media;
  };
}
