import { type ErrorCode, ErtaError, InterruptedError } from '../errors';
import { INVALID_IMAGE, Refusal } from '../server/jobs/faults';
import { type Assignment, type Finished, LEFT, type Runner, type WorkerHealth } from '../server/jobs/runner';
import { heard } from './channels';
import { createFollower, eventSchema } from './follow';
import { fleetJob, type JobSettings, jobId, MOST_USER, NAMES, type Over, resultSchema } from './job';
import { CHANNELS } from './names';
import { type FleetQueue, PRIORITIES } from './queue';
import { workersOf } from './workers';

export interface FleetRunnerOptions {
  readonly queue: FleetQueue;
  /** Content hashes of models, by their names. */
  readonly hashes: Readonly<Record<string, string>>;
  /** Content hashes of policies, by their names. */
  readonly policies: Readonly<Record<string, string>>;
  readonly every: number;
}

/** Pieces that a server has in the queue at a time. */
const PLACES = 256;
const LOOK_MS = 2000;

/** Those who draw are workers elsewhere. */
export async function fleetRunner({ queue, hashes, policies, every }: FleetRunnerOptions): Promise<Runner> {
  const { store, channels } = queue;
  const follower = await createFollower(queue);
  let workers: WorkerHealth[] = [];
  const look = async (): Promise<void> => {
    workers = (await workersOf(queue)).map(({ pid, running, held }) => ({
      state: running > 0 ? 'busy' : 'idle',
      ...{ pid, memory: 0, tensors: 0, restarts: 0, models: held },
    }));
  };
  await look();
  const timer = setInterval(() => void look().catch(() => {}), LOOK_MS);

  async function draw({ piece, user = 'server', signal, onEvent }: Assignment): Promise<Finished> {
    if (signal.aborted) throw new InterruptedError('Stopped before it was begun.', signal.reason);
    const { model, policy } = piece.request;
    const named = Object.hasOwn(policies, policy) ? { policy: policies[policy] } : {};
    const settings: JobSettings = { model: hashes[model] ?? '', ...named, user: user.slice(0, MOST_USER), every };
    const job = fleetJob(piece, settings);
    const id = jobId(job);
    if (piece.bytes && piece.picture !== undefined) await store.put(NAMES.picture(piece.picture), piece.bytes);
    const deaf = await channels.on(CHANNELS.events(id), message => {
      const event = eventSchema.safeParse(heard(message));
      if (event.success && !signal.aborted) onEvent(event.data);
    });
    let unfollow = (): void => {};
    try {
      const over = await new Promise<Over>((resolve, reject) => {
        // It may have been stopped since it was begun.
        if (signal.aborted) return reject(new InterruptedError('Stopped.', signal.reason));
        const adding = queue.add([job], PRIORITIES.usual);
        const leave = (): void => {
          // What was not added yet is not held yet.
          adding
            .then(async ([added]) => {
              if (added?.state !== 'completed') await queue.letGo(model, id, signal.reason === LEFT);
            })
            .catch(() => {});
          reject(new InterruptedError('Stopped.', signal.reason));
        };
        signal.addEventListener('abort', leave, { once: true });
        unfollow = follower.follow(model, id, adding, ended => {
          signal.removeEventListener('abort', leave);
          resolve(ended);
        });
        adding.then(([added]) => {
          if (added?.state === 'completed') resolve({ id, state: 'completed' });
        }, reject);
      });
      if (over.state !== 'completed') throw errorOf(over);
      return await finished(id, NAMES.output(id, job));
    } finally {
      unfollow();
      deaf();
    }
  }

  async function finished(id: string, output: string): Promise<Finished> {
    const [told, bytes] = await Promise.all([store.get(NAMES.result(id)), store.get(output)]);
    if (!told || !bytes) throw new ErtaError('io', 'The picture was drawn, and is no longer in the store.');
    const { bytes: _, ...result } = resultSchema.parse(heard(Buffer.from(told).toString('utf8')));
    return { ...result, bytes };
  }

  return {
    places: PLACES,
    mostTogether: () => 1,
    draw: batch => batch.map(draw),
    begun: async () => {},
    health() {
      const isThere = queue.isThere();
      const faults = [
        ...(isThere ? [] : ['Redis is away']),
        ...(workers.length > 0 ? [] : ['no worker is there: ertacache worker --queue ADDRESS']),
      ];
      return { ready: faults.length === 0, faults, workers };
    },
    async close() {
      clearInterval(timer);
      follower.close();
    },
  };
}

/** A failure elsewhere as the error that it was there. */
export function errorOf({ state, fault }: Over): Error {
  if (state === 'cancelled') return new InterruptedError(fault?.message);
  const { code = 'failure', message = 'The job failed.' } = fault ?? {};
  if (code === INVALID_IMAGE) return new Refusal(400, code, message, { param: 'image' });
  return code === 'failure' ? new Error(message) : new ErtaError(code as ErrorCode, message);
}
