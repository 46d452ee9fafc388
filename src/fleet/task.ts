import { ErtaError } from '../errors';
import { faultOf, isOfRequest } from '../server/jobs/faults';
import type { Piece } from '../server/jobs/order';
import type { Finished, PieceEvent, Runner } from '../server/jobs/runner';
import { type FleetJob, NAMES, type Result } from './job';
import { latestOf } from './latest';
import type { FileStore } from './store/store';

/** A job in the hands of a worker. */
export interface Task {
  readonly id: string;
  readonly job: FleetJob;
  readonly signal: AbortSignal;
  readonly onEvent: (event: PieceEvent) => void;
}

/** A failure that another try would not mend. */
export class Hopeless extends Error {
  constructor(readonly fault: { readonly code: string; readonly message: string }) {
    super(fault.message);
  }
}

/**
 * Draws a job into the store, unless it is there already: it goes on at the last checkpoint, whichever worker wrote it.
 * @throws Hopeless for a job that cannot be drawn, InterruptedError when it was stopped, other errors for what may go well elsewhere
 */
export async function doTask(task: Task, runner: Runner, store: FileStore): Promise<void> {
  const { id, job, signal, onEvent } = task;
  const [isThere, last] = await Promise.all([store.has(NAMES.result(id)), store.get(NAMES.checkpoint(id))]);
  if (isThere) return;
  const piece: Piece = { ...job.piece, ...(await pictureOf(job, store)) };
  let isKept = last !== undefined;
  const checkpoints = latestOf((bytes: Uint8Array) => store.put(NAMES.checkpoint(id), bytes));
  const assignment = {
    piece,
    signal,
    onEvent(event: PieceEvent) {
      if (event.type !== 'checkpoint') onEvent(event);
      else {
        isKept = true;
        checkpoints.give(event.bytes);
      }
    },
    checkpoint: { every: job.every, ...(last && { last }) },
  };
  try {
    const [drawn] = runner.draw([assignment]);
    await keep(task, await (drawn as Promise<Finished>), store);
  } catch (error) {
    const fault = faultOf(error);
    throw ErtaError.isInstance(error) && isOfRequest(fault.code) ? new Hopeless(fault) : error;
  } finally {
    await checkpoints.settled().catch(() => {});
  }
  if (isKept) await store.remove(NAMES.checkpoint(id));
}

async function keep({ id, job }: Task, { bytes, ...told }: Finished, store: FileStore): Promise<void> {
  if (job.model !== '' && told.receipt.model.hash !== job.model) {
    const [theirs, ours] = [job.model, told.receipt.model.hash].map(hash => hash.slice(0, 12));
    throw new Hopeless({
      code: 'model_version',
      message: `The model "${job.piece.request.model}" of this worker is another version: ${ours}, and ${theirs} is wanted.`,
    });
  }
  const result: Result = { ...told, bytes: bytes.length };
  await store.put(NAMES.output(id, job), bytes);
  // What vouches for the picture comes after it.
  await store.put(NAMES.result(id), Buffer.from(JSON.stringify(result)));
}

async function pictureOf({ piece }: FleetJob, store: FileStore): Promise<Pick<Piece, 'bytes'>> {
  if (piece.picture === undefined) return {};
  const bytes = await store.get(NAMES.picture(piece.picture));
  if (bytes) return { bytes };
  throw new Hopeless({ code: 'storage', message: 'The picture to begin with is no longer in the store.' });
}
