import { ErtaError, UsageError } from '../errors';
import { faultOf, isOfRequest } from '../server/jobs/faults';
import type { Piece } from '../server/jobs/order';
import type { Finished, PieceEvent, Runner } from '../server/jobs/runner';
import type { FarTarget } from '../server/workers/far-target';
import { VERSION } from '../version';
import type { FilesHere, NamedFiles } from './files-here';
import { type FleetJob, NAMES, type Result } from './job';
import { latestOf } from './latest';
import { type FleetPart, PART_KEEP_S, PART_KEYS } from './part';
import { bufferOf, type Redis } from './redis';
import type { FileStore } from './store/store';

/** A job in the hands of a worker. */
export interface Task {
  readonly id: string;
  readonly job: FleetJob;
  readonly signal: AbortSignal;
  readonly onEvent: (event: PieceEvent) => void;
  /** Called when the next one can be handed over already. */
  readonly onEnding?: (() => void) | undefined;
}

/** A failure that another try would not mend. */
export class Hopeless extends Error {
  constructor(readonly fault: { readonly code: string; readonly message: string }) {
    super(fault.message);
  }
}

/** A part in the hands of a worker. */
export interface PartTask extends Pick<Task, 'id' | 'signal'> {
  readonly part: FleetPart;
}

/**
 * Answers the question of a part, unless whoever asked has left.
 * @throws Hopeless for a question that has no answer, other errors for what may go well elsewhere
 */
export async function doPart(
  { id, part, signal }: PartTask,
  runner: Runner,
  { redis, files }: { readonly redis: Redis; readonly files: FilesHere },
): Promise<void> {
  const bytes = await redis.getBuffer(PART_KEYS.question(id));
  if (!bytes) return;
  if (!runner.ask || part.ertacache !== VERSION) {
    const theirs = `A worker of version ${VERSION} does not answer a command of version ${part.ertacache}.`;
    throw new Hopeless({ code: 'unsupported', message: theirs });
  }
  const { target } = part;
  const { lpips } = await here(files, { lpips: target.lpips });
  const placed: FarTarget = {
    ...target,
    loading: await here(files, target.loading),
    ...(lpips && { lpips }),
  };
  try {
    const answer = await runner.ask({ target: placed, bytes, signal });
    // It may have been answered by another worker meanwhile, and whoever asked have left.
    if ((await redis.exists(PART_KEYS.question(id))) === 0) return;
    await redis.set(PART_KEYS.answer(id), bufferOf(answer), 'EX', PART_KEEP_S);
  } catch (error) {
    // What is wrong with a model's values is wrong everywhere.
    throw ErtaError.isInstance(error) && isOfQuestion(error.code) ? new Hopeless(faultOf(error)) : error;
  }
}

const isOfQuestion = (code: string): boolean => isOfRequest(code) || code === 'numeric';

/** The store does not take what was drawn, or does not answer: the job is as good as it was. */
export class StoreFault extends Error {
  constructor(what: string, cause: unknown) {
    super(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The same store, which throws Hopeless for a file that it never takes, and StoreFault where it is of no use now. */
export function storeOfJobs(store: FileStore): FileStore {
  const orFault = <T>(what: string, work: Promise<T>): Promise<T> =>
    work.catch(error => {
      throw error instanceof UsageError ? new Hopeless(faultOf(error)) : new StoreFault(what, error);
    });
  const unread = `What lies in ${store.shown} cannot be read`;
  return {
    shown: store.shown,
    requireMark: () => orFault(unread, store.requireMark?.() ?? Promise.resolve()),
    get: name => orFault(unread, store.get(name)),
    has: name => orFault(unread, store.has(name)),
    put: (name, bytes) => orFault(`What is drawn cannot be kept in ${store.shown}`, store.put(name, bytes)),
    remove: name => store.remove(name),
  };
}

/** Where a worker keeps what it draws, and what it draws with. */
export interface Keeping {
  /** As `storeOfJobs` makes it. */
  readonly store: FileStore;
  readonly files: FilesHere;
}

/**
 * Draws a job into the store, unless it is there already: it goes on at the last checkpoint, whichever worker wrote it.
 * @throws Hopeless for a job that cannot be drawn, StoreFault where the store is of no use now, InterruptedError when it was
 *   stopped, other errors for what may go well elsewhere
 */
export async function doTask(task: Task, runner: Runner, { store, files }: Keeping): Promise<void> {
  const { id, job, signal, onEvent, onEnding } = task;
  await store.requireMark?.();
  const [isTold, isThere, last] = await Promise.all([
    store.has(NAMES.result(id)),
    store.has(NAMES.output(id, job)),
    store.get(NAMES.checkpoint(id)),
  ]);
  if (isTold && isThere) return;
  const { loras } = job.piece.request;
  const request = { ...job.piece.request, ...(loras && (await here(files, { loras }))) };
  const piece: Piece = { ...job.piece, request, ...(await pictureOf(job, store)) };
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
    const [drawn] = runner.draw([assignment], onEnding);
    await keep(task, await (drawn as Promise<Finished>), store);
  } catch (error) {
    const fault = faultOf(error);
    throw ErtaError.isInstance(error) && isOfRequest(fault.code) ? new Hopeless(fault) : error;
  } finally {
    await checkpoints.settled().catch(() => {});
  }
  // The picture is safe: a checkpoint that stays is no reason to draw it again.
  if (isKept) await store.remove(NAMES.checkpoint(id)).catch(() => {});
}

async function keep({ id, job }: Task, { bytes, ...told }: Finished, store: FileStore): Promise<void> {
  if (job.model !== '' && told.receipt.model.hash !== job.model) {
    const [theirs, ours] = [job.model, told.receipt.model.hash].map(hash => hash.slice(0, 12));
    throw new Hopeless({
      code: 'model_version',
      message: `The model "${job.piece.request.model}" of this worker is another version: ${ours}, and ${theirs} is wanted.`,
    });
  }
  const policy = told.receipt.policy?.hash;
  if (job.policy !== undefined && policy !== job.policy) {
    const [theirs, ours] = [job.policy, policy ?? 'none'].map(hash => hash.slice(0, 12));
    throw new Hopeless({
      code: 'policy_version',
      message: `The policy "${job.piece.request.policy}" of this worker is another one: ${ours}, and ${theirs} is wanted.`,
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

/** The files that are named, under their paths here. @throws Hopeless where one is not in the store, StoreFault */
async function here<Named extends NamedFiles>(files: FilesHere, named: Named): Promise<Named> {
  try {
    return await files.of(named);
  } catch (error) {
    if (error instanceof StoreFault) throw error;
    throw new Hopeless({ code: 'storage', message: error instanceof Error ? error.message : String(error) });
  }
}
