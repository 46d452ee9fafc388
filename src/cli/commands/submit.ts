import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { requestSchema } from '../../draw/request';
import { InterruptedError, UsageError } from '../../errors';
import { createFollower } from '../../fleet/follow';
import { fleetJob, jobId, MOST_USER, NAMES, type Over } from '../../fleet/job';
import { hashesOf } from '../../fleet/model-hash';
import { namedModel } from '../../fleet/named-model';
import { type FleetQueue, openQueue, PRIORITIES } from '../../fleet/queue';
import { loraToSend, type NamedLora, sendFiles } from '../../fleet/sent-files';
import { workersOf } from '../../fleet/workers';
import { writeFileAtomic } from '../../io/atomic';
import { MOST } from '../../io/counts';
import { isFile } from '../../io/node-file';
import { sha256 } from '../../io/sha256';
import { requireWritableFolder } from '../../io/writable';
import { requireRoom } from '../../media/encode';
import { requireRate } from '../../media/rate';
import { policyHash } from '../../policy/hash';
import { readNamedPolicy } from '../../policy/on-disk';
import { printable } from '../../printable';
import { type Seed, seedJson } from '../../random/seed';
import { DEFAULT_STRENGTH } from '../../sampling/initial-picture';
import type { ServedModel } from '../../server/catalog';
import { outputSchema, type Piece } from '../../server/jobs/order';
import { addBudgetOptions, type BudgetOptions } from '../budget-options';
import { dtypeOption } from '../dtype-option';
import { interruptible } from '../interrupt';
import { numberBetween, seedText, wholeNumber } from '../parse';
import {
  addRequestOptions,
  loraOption,
  type PictureOptions,
  pictureRequest,
  requireStrengthOfUse,
  secondLoraOption,
  weightFiles,
} from '../picture-options';
import { progressLine, tellAbove } from '../progress';
import { promptLines } from '../prompts';
import { addQueueOptions, everyOption, type QueuePlace, queueOptions } from '../queue-options';
import { chosenSeed } from '../sample/chosen-seed';
import { type Task, tasksOf } from '../sample/tasks';
import { print, tell } from '../say';

interface SubmitOptions
  extends QueuePlace,
    BudgetOptions,
    Omit<PictureOptions, 'offload' | 'transformer' | 'transformer2'> {
  readonly model: string;
  readonly policy: string;
  readonly steps?: number;
  readonly guidance?: number;
  readonly seed: Seed | 'random';
  readonly numImages: number;
  readonly init?: string;
  readonly strength: number;
  readonly scale: number;
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
  addQueueOptions(command)
    .option('--model <name>', 'a model that ships with ertacache, a folder, or NAME=FOLDER', 'fluent-emoji')
    .option(
      '--policy <name>',
      'auto, none, a shipped policy, or the file of one that the workers were started with too',
      'auto',
    );
  addBudgetOptions(command)
    .option('--steps <n>', "denoising steps (default: the model's)", wholeNumber(1, MOST.steps))
    .option('--guidance <g>', "classifier-free guidance (default: the model's)", numberBetween(0, MOST.guidance))
    .option('--seed <n>', 'seed of the first picture of each prompt, or random', seedText, 0)
    .option('--num-images <n>', 'pictures of each prompt, with seeds counted up', wholeNumber(1, MOST.pictures), 1)
    .option('--init <picture>', 'begin with a picture in place of noise')
    .option('--strength <s>', 'share of the steps that redraw it', numberBetween(0, 1), DEFAULT_STRENGTH)
    .option('--scale <n>', 'enlarge the file this many times, pixel by pixel', wholeNumber(1, MOST.scale), 1);
  return addRequestOptions(command)
    .addOption(loraOption())
    .addOption(secondLoraOption())
    .option('--variant <name>', 'take the weight files of this variant, such as fp16')
    .addOption(dtypeOption())
    .addOption(
      new Option('--format <type>', 'of the files (default: png, webp for clips)').choices(
        outputSchema.shape.format.options,
      ),
    )
    .option('--out <folder>', 'where pictures are written as they are done (with --wait)')
    .option('--wait', 'wait until all of them are drawn; Ctrl-C stops waiting, and not the work', false)
    .option('--priority <n>', '0 goes first, 7 last', wholeNumber(0, PRIORITIES.most), PRIORITIES.usual)
    .option('--user <name>', 'whose they are: users take turns', userName, process.env.USER ?? 'anybody')
    .addOption(everyOption())
    .addHelpText(
      'after',
      '\nA picture that waits, is drawn or was drawn already is not drawn twice: the same command again goes on waiting for it.',
    )
    .action(async (file: string, given: SubmitOptions, command: Command) => {
      requireStrengthOfUse(command, given);
      if (given.out !== undefined && !given.wait) {
        throw new UsageError('--out says where pictures are written as they are done, and needs --wait.', {
          hint: 'Add --wait; or submit without --out, and give the same command with --wait --out later on.',
        });
      }
      if (given.out !== undefined) await requireWritableFolder(given.out);
      const tasks = tasksOf(await promptLines(file), { seed: chosenSeed(given.seed), numImages: given.numImages });
      const model = await namedModel(given.model);
      requireItsSize(model, given);
      const format = given.format ?? (model.kind === 'clip' ? 'webp' : 'png');
      requireRoom(format, model.kind === 'clip' ? (given.frames ?? model.size.frames) : 1);
      requireRate(format, model.fps);
      const hashes = await hashesOf([model]);
      const policy = await policyOf(given.policy);
      const settings = {
        ...{ model: hashes[model.id] ?? '', policy: policy.hash },
        ...{ user: given.user, every: given.checkpointEvery },
      };
      const picture = given.init === undefined ? undefined : await pictureAt(given.init);
      const loras = await Promise.all((weightFiles(given).loras ?? []).map(loraToSend));
      const asked = { ...given, model: model.id, policy: policy.name, loras: loras.map(({ named }) => named) };
      const wanted = tasks.map(task => {
        const job = fleetJob(pieceOf(task, asked, format, picture?.sha256), settings);
        return { job, id: jobId(job), file: `${task.name}.${format}` };
      });
      const queue = await openQueue(queueOptions(given));
      try {
        if (picture) await queue.store.put(NAMES.picture(picture.sha256), picture.bytes);
        await sendFiles(queue.store, loras);
        await (given.wait
          ? waitFor(queue, wanted, given)
          : queue
              .add(
                wanted.map(({ job }) => job),
                given.priority,
              )
              .then(added => {
                const there = added.filter(({ state }) => state !== 'unknown').length;
                for (const { id, file: name } of wanted) print(`${id}  ${name}`);
                print(`${added.length} submitted${there > 0 ? `, ${there} of them were there already` : ''}`);
              }));
      } finally {
        await queue.close();
      }
    });
}

function userName(text: string): string {
  if (text !== '' && text.length <= MOST_USER) return text;
  throw new InvalidArgumentError(`It has ${text.length} characters, and must have 1 to ${MOST_USER}.`);
}

interface Wanted {
  readonly job: ReturnType<typeof fleetJob>;
  readonly id: string;
  /** Its name in the folder. */
  readonly file: string;
}

/** @throws UsageError for another size than the only one, or for frames of a picture, naming the option */
function requireItsSize({ id, kind, size, isOneSize }: ServedModel, given: SubmitOptions): void {
  const { width = size.width, height = size.height, frames = size.frames } = given;
  if (kind === 'image' && frames !== 1) {
    throw new UsageError(`${id} draws pictures, which have no frames.`, { hint: 'Leave out --frames.' });
  }
  if (!isOneSize) return;
  if (width !== size.width || height !== size.height) {
    throw new UsageError(`${id} draws ${size.width}×${size.height} pixels only.`, {
      hint: 'Leave out --width and --height.',
    });
  }
  if (frames !== size.frames) {
    throw new UsageError(`${id} draws clips of ${size.frames} frames only.`, { hint: 'Leave out --frames.' });
  }
}

/** A policy by its name and content; of a file its name is what workers call it. @throws IoError where there is none */
async function policyOf(given: string): Promise<{ readonly name: string; readonly hash?: string }> {
  if (given === 'auto' || given === 'none') return { name: given };
  return { name: basename(given, '.json'), hash: policyHash(await readNamedPolicy(given)) };
}

/** Pictures of that many bytes are read. */
const MOST_PICTURE = 64e6;

async function pictureAt(path: string): Promise<{ readonly bytes: Uint8Array; readonly sha256: string }> {
  if (!(await isFile(path))) throw new UsageError(`There is no picture ${path}.`);
  const bytes = await readFile(path);
  if (bytes.length <= MOST_PICTURE) return { bytes, sha256: sha256(bytes) };
  throw new UsageError(`${path} has more than ${MOST_PICTURE / 1e6} MB.`, {
    hint: 'Give a smaller picture as --init.',
  });
}

function pieceOf(
  { prompt, seed }: Task,
  given: SubmitOptions & { readonly loras: readonly NamedLora[] },
  format: Piece['output']['format'],
  picture: string | undefined,
): Piece {
  const { model, policy, steps, guidance, strength, scale, dtype, variant, vaeTiling, loras } = given;
  const { forwards, speedup, psnr, guarantee } = given;
  const { seed: parsed, ...request } = requestSchema.parse({
    ...{ prompt, seed, model, policy, steps, guidance, scale, dtype, variant, vaeTiling },
    ...{ forwards, speedup, psnr, guarantee },
    ...pictureRequest(given),
    ...(loras.length > 0 && { loras }),
    ...(picture !== undefined && { init: { path: 'image', sha256: picture, strength } }),
  });
  return {
    request: { ...request, seed: seedJson(parsed) },
    output: { format },
    previews: 0,
    ...(picture !== undefined && { picture }),
  };
}

/** Says that the jobs wait for a worker, where none has their model now. */
async function tellOfNoWorker(queue: FleetQueue, [first]: readonly Wanted[]): Promise<void> {
  const model = first?.job.piece.request.model;
  if (model === undefined || (await workersOf(queue)).some(({ models }) => models.includes(model))) return;
  tellAbove(`No worker of this queue has the model "${printable(model)}" now; the jobs wait until one has.\n`);
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
    else throw new UsageError('The picture was drawn, and is no longer in the store; submit it again.');
  }
  /** Without one of them, the others are still wanted. */
  function fail({ file }: Wanted, why: string): void {
    failed++;
    tell(`${file}: ${why}\n`);
  }
  try {
    await interruptible(
      signal =>
        new Promise<void>((resolve, reject) => {
          signal.addEventListener('abort', () => reject(new InterruptedError('Stopped waiting; the work goes on.')));
          if (wanted.length === 0) resolve();
          const end = (each: Wanted, over: Over): void => {
            if (over.state === 'completed') collecting.push(collect(each).catch(error => fail(each, error.message)));
            else fail(each, over.fault?.message ?? over.state);
            line.update(++done, `${failed > 0 ? `${failed} failed` : ''}`);
            if (done === wanted.length) Promise.all(collecting).then(() => resolve(), reject);
          };
          const adding = queue.add(
            wanted.map(({ job }) => job),
            priority,
          );
          for (const each of wanted) {
            follower.follow(each.job.piece.request.model, each.id, adding, over => end(each, over));
          }
          adding
            .then(added => {
              for (const [i, { id, state }] of added.entries()) {
                if (state !== 'completed' || wanted.findIndex(each => each.id === id) !== i) continue;
                follower.over({ id, state });
              }
              return added.every(({ state }) => state === 'completed') ? undefined : tellOfNoWorker(queue, wanted);
            })
            .catch(reject);
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
