import { z } from 'zod';
import { note } from '../io/notes';
import { release } from '../nn/scope';
import { anyState, parseState, type State } from '../nn/state';
import type { CachedRun } from './cached-run';
import { decodeCheckpoint, encodeCheckpoint, type RunCheckpoints } from './checkpoint';
import type { StepRecord } from './step-record';
import type { Trajectory } from './trajectory';

/** A run on its way. */
export interface Progress {
  readonly cached: CachedRun;
  readonly trajectory: Trajectory;
  /** Of the steps that were taken; a run that is taken up has those from before. */
  readonly records: StepRecord[];
  readonly sigmas: readonly number[];
}

const stateForm = z.object({
  records: z.array(anyState),
  sigmas: z.array(z.number()),
  shape: z.array(z.number()),
  cached: anyState,
  trajectory: anyState,
});

/** Keeps where the run is. */
export async function saveRun({ store, run }: RunCheckpoints, progress: Progress): Promise<void> {
  const { cached, trajectory, records, sigmas } = progress;
  const state: State = {
    records: records.map(record => ({ ...record })),
    sigmas,
    shape: trajectory.sample().shape,
    cached: cached.state(),
    trajectory: trajectory.state(),
  };
  await store.write(run, await encodeCheckpoint(run, state));
}

/**
 * Takes up the run where its checkpoint is.
 * @returns false where there is none; one that is damaged or of another run is left alone until the next takes its place
 * @throws UnsupportedError for a run that could not be taken up
 */
export async function resumeRun({ store, run }: RunCheckpoints, progress: Progress): Promise<boolean> {
  const { cached, trajectory, records, sigmas } = progress;
  // Before an hour is spent on steps of which no checkpoint can be made.
  cached.state();
  trajectory.state();
  const bytes = await store.read(run);
  if (!bytes) return false;
  const state = decodeCheckpoint(run, bytes);
  if (state === undefined) {
    note('A checkpoint is damaged, or of another run: this run begins anew.', `checkpoint ${run}`);
    return false;
  }
  try {
    const kept = parseState(stateForm, state);
    const isSame = kept.sigmas.join() === sigmas.join() && kept.shape.join() === trajectory.sample().shape.join();
    if (!isSame || kept.records.length >= sigmas.length) {
      note('A checkpoint is of a run over other noise levels, or of another size: this run begins anew.');
      return false;
    }
    cached.restore(kept.cached);
    trajectory.restore(kept.trajectory);
    records.push(...(kept.records as unknown as StepRecord[]));
    return true;
  } finally {
    release(state);
  }
}
