import { Command, Option } from 'commander';
import pino from 'pino';
import type { BackendRequest } from '../../engine/types';
import { workerPool } from '../../fleet/pool';
import { openQueue } from '../../fleet/queue';
import { startFleetWorker } from '../../fleet/worker';
import { MOST } from '../../io/counts';
import { USUAL } from '../../server/options';
import type { GlobalOptions } from '../global-options';
import { interruptible } from '../interrupt';
import { wholeNumber } from '../parse';
import { addQueueOptions, type QueuePlace, queueOptions } from '../queue-options';
import { tell } from '../say';
import { durationOption, several } from '../units';

interface WorkerOptions extends QueuePlace {
  readonly model: readonly string[];
  readonly policy: readonly string[];
  readonly concurrency: number;
  readonly modelsInMemory: number;
  readonly grace: number;
  readonly logLevel: 'silent' | 'error' | 'warn' | 'info';
  readonly logPrompts: boolean;
}

/** `ertacache worker`: draws what waits in a queue. */
export function workerCommand(): Command {
  const command = new Command('worker');
  return addQueueOptions(command)
    .option('--model <folder>', 'a model beside those that ship with ertacache, or NAME=FOLDER; several', several, [])
    .option('--policy <file>', 'a calibrated policy that jobs may name; several', several, [])
    .option('--concurrency <n>', 'processes that draw, one for each device', wholeNumber(1, MOST.threads), 1)
    .option(
      '--models-in-memory <n>',
      'models that each of them holds',
      wholeNumber(1, MOST.pictures),
      USUAL.modelsInMemory,
    )
    .addOption(durationOption('--grace <time>', 'how long a picture is waited for at the end', '30s'))
    .addOption(
      new Option('--log-level <level>', 'what is logged').choices(['silent', 'error', 'warn', 'info']).default('info'),
    )
    .option('--log-prompts', 'log prompts too', false)
    .action(async (given: WorkerOptions, command: Command) => {
      const { backend, threads, verbose } = command.optsWithGlobals<GlobalOptions>();
      const { model: models, policy: policies, concurrency: workers, modelsInMemory, grace, logPrompts } = given;
      const log = pino({ level: given.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime });
      const queue = await openQueue({ ...queueOptions(given), log });
      try {
        const drawing = { models, policies, backend: backend as BackendRequest, threads, workers, modelsInMemory };
        const { runner, catalog } = await workerPool(drawing, log);
        try {
          await runner.begun();
          const names = catalog.models.map(({ id }) => id);
          const worker = await startFleetWorker({ queue, runner, models: names, log, logPrompts, verbose });
          tell(`takes jobs of ${names.join(', ')} from ${queueOptions(given).address.shown}\n`);
          await interruptible(
            signal => new Promise(resolve => signal.addEventListener('abort', resolve, { once: true })),
            `\nNo new job is taken; what is drawn has ${grace / 1000} s. Ctrl-C again stops at once.\n`,
          );
          await worker.close(grace);
        } finally {
          await runner.close();
        }
      } finally {
        await queue.close();
      }
    });
}
