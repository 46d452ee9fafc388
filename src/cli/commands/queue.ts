import { Command } from 'commander';
import { UsageError } from '../../errors';
import { KEYS } from '../../fleet/names';
import { type FleetQueue, openQueue } from '../../fleet/queue';
import { workersOf } from '../../fleet/workers';
import { printable } from '../../printable';
import { wholeNumber } from '../parse';
import { addQueueOptions, type QueuePlace, queueOptions } from '../queue-options';
import { print, tell } from '../say';

/** Jobs that are listed. */
const SHOWN = 20;

interface StatusOptions {
  readonly prompts: boolean;
  readonly list: number;
}

/** `ertacache queue`: what waits, who draws, what has failed. */
export function queueCommand(): Command {
  const group = new Command('queue');
  const add = (name: string, description: string): Command =>
    addQueueOptions(group.command(name).description(description));
  add('status', 'jobs by model, workers, and the last failures')
    .option('--prompts', 'show the prompts of the jobs that are listed', false)
    .option('--list <n>', 'how many waiting, drawn and failed jobs are listed of each', wholeNumber(0, 100_000), SHOWN)
    .action((given: QueuePlace & StatusOptions) => withQueue(given, queue => status(queue, given)));
  add('cancel', 'stop jobs, wherever they are drawn')
    .argument('[id...]', 'ids of jobs')
    .option('--user <name>', 'all unfinished jobs of a user')
    .action((ids: string[], given: QueuePlace & { user?: string }) =>
      withQueue(given, async queue => {
        if (ids.length === 0 && given.user === undefined) {
          throw new UsageError('No job is named.', {
            hint: 'Give ids (ertacache queue status lists them), or --user.',
          });
        }
        if (given.user !== undefined) print(`${await queue.cancelOf(given.user)} cancelled`);
        const stopped = await Promise.all(ids.map(id => queue.cancel(id)));
        for (const [i, id] of ids.entries()) print(`${id}  ${stopped[i] ? 'cancelled' : 'is over, or not there'}`);
        if (stopped.includes(false)) process.exitCode = 1;
      }),
    );
  add('retry', 'let failed jobs wait again')
    .argument('[id...]', 'ids of jobs; all that failed by default')
    .action((ids: string[], given: QueuePlace) =>
      withQueue(given, async queue => {
        const count = await queue.retry(ids.length > 0 ? ids : undefined);
        if (count < ids.length) {
          const all =
            ids.length === 1
              ? `${printable(ids[0] as string)} is no failed job`
              : `Only ${count} of ${ids.length} are failed jobs`;
          throw new UsageError(`${all}.`, { hint: 'ertacache queue status lists those that failed.' });
        }
        print(`${count} wait again`);
        if (ids.length > 0) return;
        const cancelled = [...(await queue.counts()).values()].reduce((sum, each) => sum + each.cancelled, 0);
        if (cancelled > 0) tell(`Not among them: ${cancelled} cancelled; to retry what was cancelled, give its id.\n`);
      }),
    );
  add('drain', 'remove all jobs that wait; what is drawn is finished')
    .option('--forget-store', 'let the queue have another store from now on', false)
    .action((given: QueuePlace & { forgetStore: boolean }) =>
      withQueue(given, async queue => {
        print(`${await queue.drain()} removed`);
        if (given.forgetStore) await queue.redis.unlink(KEYS.store);
      }),
    );
  return group;
}

async function withQueue(given: QueuePlace, work: (queue: FleetQueue) => Promise<void>): Promise<void> {
  const queue = await openQueue({ ...queueOptions(given), place: 'any' });
  try {
    await work(queue);
  } finally {
    await queue.close();
  }
}

async function status(queue: FleetQueue, { prompts: showsPrompts, list }: StatusOptions): Promise<void> {
  for (const [model, { waiting, active, delayed, completed, failed, cancelled }] of await queue.counts()) {
    const later = delayed > 0 ? `, ${delayed} to be tried again` : '';
    const stopped = cancelled > 0 ? `, ${cancelled} cancelled` : '';
    print(`${model}  ${waiting} waiting${later}, ${active} drawn now, ${completed} done, ${failed} failed${stopped}`);
  }
  const workers = await workersOf(queue);
  for (const { host, pid, running, places, drawn, held, fault } of workers) {
    print(
      `worker ${host}:${pid}  draws ${running} of ${places}, ${drawn} drawn, holds ${held.join(', ') || 'no model'}`,
    );
    if (fault !== undefined) print(`  takes no job: ${printable(fault)}`);
  }
  if (workers.length === 0) tell('No worker is there.\n');
  for (const { id, model, prompt, user, state } of await queue.unfinished(list)) {
    print(`${state} ${id}  ${model}, of ${printable(user)}`);
    if (showsPrompts) print(`  ${printable(prompt)}`);
  }
  for (const { id, model, prompt, reason, isCancelled, attempts } of await queue.failed(list)) {
    const why = `after ${attempts} ${attempts === 1 ? 'try' : 'tries'}: ${reason}`;
    print(isCancelled ? `cancelled ${id}  ${model}` : `failed ${id}  ${model}, ${why}`);
    if (showsPrompts) print(`  ${printable(prompt)}`);
  }
}
