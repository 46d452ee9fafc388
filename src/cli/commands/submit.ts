import { join } from 'node:path';
import { Command, Option } from 'commander';
import { requestSchema } from '../../draw/request';
import { InterruptedError, UsageError } from '../../errors';
import { createFollower } from '../../fleet/follow';
import { fleetJob, jobId, NAMES, type Over } from '../../fleet/job';
import { hashesOf } from '../../fleet/model-hash';
import { type FleetQueue, openQueue, PRIORITIES } from '../../fleet/queue';
import { writeFileAtomic } from '../../io/atomic';
import { MOST } from '../../io/counts';
import { requireWritableFolder } from '../../io/writable';
import { type Seed, seedJson } from '../../random/seed';
import { readCatalog } from '../../server/catalog';
import { outputSchema, type Piece } from '../../server/jobs/order';
import { interruptible } from '../interrupt';
import { numberBetween, seedText, wholeNumber } from '../parse';
import { progressLine } from '../progress';
import { promptLines } from '../prompts';
import { addQueueOptions, everyOption, type QueuePlace, queueOptions } from '../queue-options';
import { type Task, tasksOf } from '../sample/tasks';
import { print, tell } from '../say';

interface SubmitOptions extends QueuePlace {
  readonly model: string;
  readonly policy: string;
  readonly steps?: number;
  readonly guidance?: number;
  readonly seed: Seed;
  readonly numImages: number;
  readonly negativePrompt?: string;
  readonly width?: number;
  readonly height?: number;
  readonly frames?: number;
  readonly format?: Piece['output']['format'];
  readonly out?: string;
  readonly wait: boolean;
  readonly priority: number;
  readonly user: string;
  readonly checkpointEvery: number;
}

/** `ertacache submit`: pictures by the workers of a queue. */
export function submitCommand(): Command {
  const command = new Command('submit').argument('<prompts>', 'a file with a prompt on each line');
  return addQueueOptions(command)
    .option('--model <name>', 'a model that ships with ertacache, a folder, or NAME=FOLDER', 'fluent-emoji')
    .option('--policy <name>', 'auto, none, a shipped policy, or one that the workers were started with', 'auto')
    .option('--steps <n>', "denoising steps (default: the model's)", wholeNumber(1, MOST.steps))
    .option('--guidance <g>', "classifier-free guidance (default: the model's)", numberBetween(0, MOST.guidance))
    .option('--seed <n>', 'seed of the first picture of each prompt', seedText, 0)
    .option('--num-images <n>', 'pictures of each prompt, with seeds counted up', wholeNumber(1, MOST.pictures), 1)
    .option('--negative-prompt <prompt>', 'what to steer away from')
    .option('--width <pixels>', "(default: the model's)", wholeNumber(1, MOST.pixels))
    .option('--height <pixels>', "(default: the model's)", wholeNumber(1, MOST.pixels))
    .option('--frames <n>', "of clips (default: the model's)", wholeNumber(1, MOST.frames))
    .addOption(
      new Option('--format <type>', 'of the files (default: png, webp for clips)').choices(
        outputSchema.shape.format.options,
      ),
    )
    .option('--out <folder>', 'where pictures are written as they are done (with --wait)')
    .option('--wait', 'wait until all of them are drawn; Ctrl-C stops waiting, and not the work', false)
    .option('--priority <n>', '0 goes first, 7 last', wholeNumber(0, PRIORITIES.most), PRIORITIES.usual)
    .option('--user <name>', 'whose they are: users take turns', process.env.USER ?? 'anybody')
    .addOption(everyOption())
    .addHelpText(
      'after',
      '\nA picture that waits, is drawn or was drawn already is not drawn twice: the same command again goes on waiting for it.',
    )
    .action(async (file: string, given: SubmitOptions) => {
      if (given.out !== undefined && !given.wait) {
        throw new UsageError('--out says where pictures are written as they are done, and needs --wait.', {
          hint: 'Add --wait; or submit without --out, and give the same command with --wait --out later on.',
        });
      }
      if (given.out !== undefined) await requireWritableFolder(given.out);
      const tasks = tasksOf(await promptLines(file), { seed: given.seed, numImages: given.numImages });
      const { models } = await readCatalog(/[/\\=]/.test(given.model) ? [given.model] : []);
      const model = models.find(({ id }) => given.model === id) ?? (/[/\\=]/.test(given.model) ? models[0] : undefined);
      if (!model)
        throw new UsageError(`There is no model "${given.model}".`, { hint: 'Give its folder: NAME=FOLDER.' });
      const format = given.format ?? (model.kind === 'clip' ? 'webp' : 'png');
      const hashes = await hashesOf([model]);
      const settings = { model: hashes[model.id] ?? '', user: given.user, every: given.checkpointEvery };
      const wanted = tasks.map(task => {
        const job = fleetJob(pieceOf(task, { ...given, model: model.id }, format), settings);
        return { job, id: jobId(job), file: `${task.name}.${format}` };
      });
      const queue = await openQueue(queueOptions(given));
      try {
        await (given.wait
          ? waitFor(queue, wanted, given)
          : queue
              .add(
                wanted.map(({ job }) => job),
                given.priority,
              )
              .then(added => {
                const there = added.filter(({ state }) => state !== 'unknown').length;
                print(`${added.length} submitted${there > 0 ? `, ${there} of them were there already` : ''}`);
              }));
      } finally {
        await queue.close();
      }
    });
}

interface Wanted {
  readonly job: ReturnType<typeof fleetJob>;
  readonly id: string;
  /** Its name in the folder. */
  readonly file: string;
}

function pieceOf({ prompt, seed }: Task, given: SubmitOptions, format: Piece['output']['format']): Piece {
  const { model, policy, steps, guidance, negativePrompt, width, height, frames } = given;
  const size = Object.fromEntries(Object.entries({ width, height, frames }).filter(([, value]) => value !== undefined));
  const { seed: parsed, ...request } = requestSchema.parse({
    ...{ prompt, seed, model, policy, steps, guidance, negativePrompt },
    ...(Object.keys(size).length > 0 && { size }),
  });
  return { request: { ...request, seed: seedJson(parsed) }, output: { format }, previews: 0 };
}

/** Adds the jobs, tells how it goes, and collects the pictures. */
async function waitFor(queue: FleetQueue, wanted: readonly Wanted[], { out, priority }: SubmitOptions): Promise<void> {
  const follower = await createFollower(queue);
  const line = progressLine('pictures', wanted.length);
  let done = 0;
  let failed = 0;
  const collecting: Promise<void>[] = [];
  async function collect({ job, id, file }: Wanted): Promise<void> {
    if (out === undefined) return;
    const bytes = await queue.store.get(NAMES.output(id, job));
    if (bytes) await writeFileAtomic(join(out, file), bytes);
    else throw new UsageError(`The picture ${file} was drawn, and is no longer in the store.`);
  }
  try {
    await interruptible(
      signal =>
        new Promise<void>((resolve, reject) => {
          signal.addEventListener('abort', () => reject(new InterruptedError('Stopped waiting; the work goes on.')));
          if (wanted.length === 0) resolve();
          const end = (each: Wanted, over: Over): void => {
            if (over.state === 'completed') collecting.push(collect(each));
            else {
              failed++;
              tell(`${each.file}: ${over.fault?.message ?? over.state}\n`);
            }
            line.update(++done, `${failed > 0 ? `${failed} failed` : ''}`);
            if (done === wanted.length) Promise.all(collecting).then(() => resolve(), reject);
          };
          for (const each of wanted) follower.follow(each.job.piece.request.model, each.id, over => end(each, over));
          queue
            .add(
              wanted.map(({ job }) => job),
              priority,
            )
            .then(added => {
              for (const [i, { id, state }] of added.entries()) {
                if (state !== 'completed' || wanted.findIndex(each => each.id === id) !== i) continue;
                follower.over({ id, state });
              }
            }, reject);
        }),
      '\nStopping to wait; the work goes on.\n',
    );
  } finally {
    line.stop();
    follower.close();
  }
  print(`${done - failed} of ${wanted.length} pictures${out === undefined ? '' : ` in ${out}`}`);
  if (failed > 0) process.exitCode = 1;
}
