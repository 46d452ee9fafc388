import { homedir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { BackendRequest } from '../../engine/types';
import { UsageError } from '../../errors';
import { MOST } from '../../io/counts';
import { isOrigin } from '../../server/http/guards';
import { readKeys } from '../../server/key-file';
import { USUAL_LIMITS } from '../../server/limits';
import { isLoopback, listen, requireGuarded } from '../../server/listen';
import { MOST_TOGETHER, USUAL } from '../../server/options';
import { createServer } from '../../server/server';
import type { GlobalOptions } from '../global-options';
import { interruptible } from '../interrupt';
import { wholeNumber } from '../parse';
import { addQueueOptions, everyOption, type QueuePlace } from '../queue-options';
import { tell } from '../say';
import { durationOption, several, sizeOption } from '../units';

interface ServeOptions extends QueuePlace {
  readonly checkpointEvery: number;
  readonly host: string;
  readonly port: number;
  readonly model: readonly string[];
  readonly policy: readonly string[];
  readonly workers: number;
  readonly modelsInMemory: number;
  readonly data?: string;
  readonly keep: number;
  readonly maxDisk: number;
  readonly maxQueue: number;
  readonly maxBatch?: number;
  readonly grace: number;
  readonly apiKeyFile: readonly string[];
  readonly auth: boolean;
  readonly rateLimit?: number;
  readonly cors: readonly string[];
  readonly maxPixels: number;
  readonly maxSteps: number;
  readonly strict: boolean;
  readonly publicUrl?: string;
  readonly basePath?: string;
  readonly logLevel: 'silent' | 'error' | 'warn' | 'info';
  readonly logPrompts: boolean;
}

/** So long the last answers may take to be sent, also where the grace is over, in milliseconds. */
const SENDING_MS = 2000;

/** Where jobs are kept unless said otherwise. */
const usualData = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'ertacache/serve');

/** @throws UsageError for what is said of a queue where none is named */
function requireOfUse(command: Command, { queue }: ServeOptions): void {
  if (queue !== undefined) return;
  for (const [name, flag] of [
    ['store', '--store'],
    ['queueCa', '--queue-ca'],
    ['checkpointEvery', '--checkpoint-every'],
  ] as const) {
    if (command.getOptionValueSource(name) !== 'cli') continue;
    throw new UsageError(`${flag} is of use only with --queue.`, { hint: `Add --queue ADDRESS, or omit ${flag}.` });
  }
}

/** Origins of pages; browsers send them without a path. */
function origins(text: string, before: readonly string[]): string[] {
  if (text === '*' || isOrigin(text)) return [...before, text];
  throw new InvalidArgumentError('It must be an origin such as https://example.org, or *.');
}

/** `ertacache serve`: pictures and clips over HTTP. */
export function serveCommand(): Command {
  return addQueueOptions(new Command('serve'), true)
    .addOption(everyOption())
    .option('--host <address>', 'where to listen; other addresses than this machine itself need keys', '127.0.0.1')
    .option('--port <n>', 'where to listen; 0 takes any that is free', wholeNumber(0, 65_535), 8080)
    .option('--model <folder>', 'a model beside those that ship with ertacache, or NAME=FOLDER; several', several, [])
    .option('--policy <file>', 'a calibrated policy that requests may name; several', several, [])
    .option('--workers <n>', 'processes that draw, one for each device', wholeNumber(1, MOST.threads), USUAL.workers)
    .option(
      '--models-in-memory <n>',
      'models that each of them holds',
      wholeNumber(1, MOST.pictures),
      USUAL.modelsInMemory,
    )
    .option('--max-queue <n>', 'pictures that may wait', wholeNumber(0, MOST.pictures), USUAL.maxQueue)
    .option(
      '--max-batch <n>',
      'pictures of equal settings that are drawn as one (default: 4 of a small model, 2 in WebAssembly, else 1)',
      wholeNumber(1, MOST_TOGETHER),
    )
    .option('--data <folder>', `where jobs and their files are kept (default: ${usualData({})})`)
    .addOption(durationOption('--keep <time>', 'how long finished jobs are kept', '7d'))
    .addOption(sizeOption('--max-disk <size>', 'how much of them is kept', '10GB'))
    .addOption(durationOption('--grace <time>', 'how long running work is waited for at the end', '30s'))
    .option('--api-key-file <file>', 'keys that are let in, one a line; several', several, [])
    .option('--no-auth', 'let everybody in, on whatever address')
    .option('--rate-limit <n>', 'requests a minute that a key may make', wholeNumber(1, 1_000_000))
    .option('--cors <origin>', 'pages that may ask from a browser, such as https://example.org; several', origins, [])
    .option(
      '--max-pixels <n>',
      'pixels of a picture, or of all frames of a clip',
      wholeNumber(1, 1e9),
      USUAL_LIMITS.pixels,
    )
    .option('--max-steps <n>', 'denoising steps of a request', wholeNumber(1, MOST.steps), USUAL_LIMITS.steps)
    .option('--strict', 'refuse fields that the interface does not know', false)
    .option('--public-url <address>', 'where the server is reached from outside, behind a proxy')
    .option('--base-path <path>', 'path before all others, such as /pictures')
    .addOption(
      new Option('--log-level <level>', 'what is logged').choices(['silent', 'error', 'warn', 'info']).default('info'),
    )
    .option('--log-prompts', 'log prompts too', false)
    .action(async (given: ServeOptions, command: Command) => {
      const { backend, threads } = command.optsWithGlobals<GlobalOptions>();
      const { host, port, grace, data = usualData() } = given;
      requireOfUse(command, given);
      const apiKeys = (await Promise.all(given.apiKeyFile.map(readKeys))).flat();
      requireGuarded(host, apiKeys, !given.auth);
      const options = {
        models: given.model,
        policies: given.policy,
        backend: backend as BackendRequest,
        threads,
        workers: given.workers,
        modelsInMemory: given.modelsInMemory,
        data,
        keepMs: given.keep,
        maxDisk: given.maxDisk,
        maxQueue: given.maxQueue,
        maxBatch: given.maxBatch,
        apiKeys,
        perMinute: given.rateLimit,
        origins: given.cors,
        onlyLoopback: isLoopback(host) && apiKeys.length === 0 && given.auth && given.publicUrl === undefined,
        limits: { pixels: given.maxPixels, steps: given.maxSteps },
        strict: given.strict,
        publicUrl: given.publicUrl,
        basePath: given.basePath,
        logLevel: given.logLevel,
        logPrompts: given.logPrompts,
      };
      const { queue, queueCa, store, checkpointEvery: every } = given;
      // Loaded when it is used: most servers draw by themselves.
      const server =
        queue === undefined
          ? await createServer(options)
          : await (await import('../../fleet/serve')).createFleetServer({ ...options, queue, queueCa, store, every });
      try {
        const listening = await listen(server, { host, port });
        tell(`listening on ${listening.url}\n`);
        try {
          await interruptible(
            signal => Promise.race([aborted(signal), server.ready().then(() => aborted(signal))]),
            `\nNo new work is taken; what is running has ${grace / 1000} s. Ctrl-C again stops at once.\n`,
          );
        } finally {
          const until = performance.now() + grace;
          // It listens until the work has ended: new requests get 503, so that a load balancer can tell.
          await server.close(grace).finally(() => listening.close(Math.max(SENDING_MS, until - performance.now())));
        }
      } catch (error) {
        await server.close(0);
        throw error;
      }
    });
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
