import { type Command, Option } from 'commander';
import { UsageError } from '../errors';
import { queueAddress } from '../fleet/address';
import type { QueueOptions } from '../fleet/queue';
import { MOST } from '../io/counts';
import { wholeNumber } from './parse';

/** Where a queue and its pictures are. */
export interface QueuePlace {
  readonly queue?: string;
  readonly queueCa?: string;
  readonly store: string;
}

/** The options of commands that ask a queue for something else than pictures, or may ask one. */
export function addAddressOptions(command: Command, what = ''): Command {
  return command
    .addOption(
      new Option('--queue <address>', `Redis: redis://host:6379, or rediss:// with TLS${what}`).env('ERTACACHE_QUEUE'),
    )
    .option('--queue-ca <file>', 'certificates that a Redis of your own is known by');
}

const storeOption = (what: string): Option =>
  new Option('--store <place>', `${what}: redis (for a day), a folder that all machines share, s3://bucket/prefix`)
    .env('ERTACACHE_STORE')
    .default('redis');

/** The options of every command that uses a queue. The address may hold a password: better in a variable. */
export function addQueueOptions(command: Command, isOptional = false): Command {
  return addAddressOptions(command, isOptional ? '; draws by the workers of this queue' : '').addOption(
    storeOption('where pictures are kept'),
  );
}

/** The options of commands whose work a queue may do: what weights they name go to its workers through its store. */
export function addFarOptions(command: Command, what: string): Command {
  return addAddressOptions(command, what).addOption(
    storeOption("the queue's store, through which LoRAs and weights go"),
  );
}

export const everyOption = (): Option =>
  new Option('--checkpoint-every <n>', 'steps after which a worker keeps a checkpoint of a picture')
    .argParser(wholeNumber(1, MOST.steps))
    .default(5);

/** @throws UsageError where no queue is named */
export function queueOptions({ queue, queueCa: ca, store: place }: QueuePlace): QueueOptions {
  if (queue === undefined) {
    throw new UsageError('No queue is named.', { hint: 'Give --queue redis://HOST:6379, or set ERTACACHE_QUEUE.' });
  }
  return { address: queueAddress(queue), ca, place };
}
