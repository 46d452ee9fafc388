import { dirname } from 'node:path';
import { Command } from 'commander';
import { choosePolicy } from '../../draw/choose-policy';
import { batchOf, type DrawOptions, useOf } from '../../draw/draw';
import { type Inputs, readInputs } from '../../draw/read-inputs';
import { parseReceipt, type Receipt } from '../../draw/receipt';
import type { FullRequest } from '../../draw/request';
import type { EngineKind } from '../../engine/types';
import { PolicyError, UnsupportedError, UsageError } from '../../errors';
import { MOST } from '../../io/counts';
import { requireWritableFolder } from '../../io/writable';
import { requireRoom, requireSides } from '../../media/encode';
import { requireRate } from '../../media/rate';
import { readReceipt } from '../../media/receipt';
import { mediaFormat, requireMediaWritable, writeMedia } from '../../media/write';
import { hasLevel } from '../../nn/wasm/run';
import { DEFAULT_MODEL } from '../../pipelines/default-model';
import { requireEmbeddingsWritable, writeEmbeddings } from '../../pipelines/embeddings-file';
import { loadModel } from '../../pipelines/load';
import { usualThreads } from '../../pipelines/usual-threads';
import { isBudget } from '../../policy/budget';
import { policiesOnDisk } from '../../policy/on-disk';
import type { Seed } from '../../random/seed';
import { USUAL_EVERY } from '../../sampling/checkpoint';
import { DEFAULT_STRENGTH } from '../../sampling/initial-picture';
import type { Pipeline } from '../../sampling/pipeline';
import { steersByText } from '../../sampling/steering';
import { startBackend } from '../backend';
import { addBudgetOptions } from '../budget-options';
import { encodeAhead } from '../encode-ahead';
import { interruptible } from '../interrupt';
import { numberBetween, seedText, wholeNumber } from '../parse';
import { addPictureOptions, requireStrengthOfUse } from '../picture-options';
import { promptLines } from '../prompts';
import { requireOwnPaths } from '../sample/check-paths';
import { chosenSeed } from '../sample/chosen-seed';
import { drawTask } from '../sample/draw-task';
import { allComputedNote, idleNotes, keptNegativeNote, noGuaranteeNote, noPolicyNote } from '../sample/notes';
import { type DrawnPair, pairSheet, pairSheetSize } from '../sample/pair-sheet';
import { repeated, requireRepeatable } from '../sample/repeat-options';
import { type RequestOptions, requestOfTask } from '../sample/requests';
import { type Task, type TaskOptions, taskOf, tasksOf } from '../sample/tasks';
import { print, tell } from '../say';

interface SampleOptions extends RequestOptions, Omit<TaskOptions, 'seed'> {
  readonly seed: Seed | 'random';
  readonly from?: string | undefined;
  readonly sheet?: string | undefined;
  readonly promptsFile?: string | undefined;
  readonly preview?: string | undefined;
  readonly saveEmbeddings?: string | undefined;
  readonly resume?: true;
  readonly checkpointEvery: number;
}

/** `ertacache sample`: a prompt to a picture. */
export function sampleCommand(): Command {
  const command = new Command('sample')
    .argument('[prompt...]', 'what to draw; several prompts give several pictures')
    .option('--prompts-file <file>', 'more prompts, one a line; # begins a comment, \\# a prompt with that sign')
    .option(
      '--model <folder>',
      `a model folder, owner/name from the hub's cache, or one that ships with ertacache (default: ${DEFAULT_MODEL})`,
    )
    .option(
      '--policy <file>',
      'a calibrated policy, a file or the name of a shipped one; auto takes the shipped one that fits; none computes every step',
      'auto',
    );
  addBudgetOptions(command)
    .option('--steps <n>', "denoising steps (default: the model's)", wholeNumber(1, MOST.steps))
    .option(
      '--guidance <g>',
      "classifier-free guidance; 1 turns it off (default: the model's)",
      numberBetween(0, MOST.guidance),
    )
    .option('--seed <n>', 'seed of the first picture, or random; PyTorch draws the same noise from it', seedText, 0)
    .option('--num-images <n>', 'pictures of each prompt, with seeds counted up', wholeNumber(1, MOST.pictures), 1)
    .option('--init <picture>', 'begin with a picture in place of noise (FLUX, Chroma, fluent-emoji)')
    .option(
      '--strength <s>',
      'how much of the picture is drawn anew: the last s of all steps are run',
      numberBetween(0, 1),
      DEFAULT_STRENGTH,
    )
    .option(
      '--out <file>',
      'file to write: .png, .jpg, .webp, .gif, .mp4, or frames/ (default: named after prompt and seed)',
    )
    .option('--out-dir <folder>', 'folder for files that are named after prompt and seed')
    .option('--sheet <file>', 'also draw every picture uncached, and write a sheet with the cached above the uncached')
    .option(
      '--preview <file>',
      'write what each step predicts to this file, and show it in terminals that can (one decoding a step)',
    )
    .option('--scale <n>', 'enlarge the file this many times, pixel by pixel', wholeNumber(1, MOST.scale), 1)
    .option('--save-embeddings <file>', 'keep what the text encoders make of the prompts')
    .option(
      '--embeddings <file>',
      'use kept embeddings: no text encoder is loaded; their prompts, if none is given, and their negative prompt, if none is given and the run has a use for one',
    )
    .option('--from <file>', 'repeat the run that made this picture')
    .option(
      '--resume',
      'go on with what was interrupted: pictures that are there are kept, one that was begun goes on at its last checkpoint',
    )
    .option(
      '--checkpoint-every <n>',
      'steps between two checkpoints, which lie beside the picture until it is written (with --resume)',
      wholeNumber(1, MOST.steps),
      USUAL_EVERY,
    );
  command.addHelpText(
    'after',
    '\nPictures, clips and sheets of the same name are replaced. Other files are not: a folder of frames or a receipt\n' +
      'beside a clip that ertacache did not write, or has been changed since, is refused.',
  );
  return addPictureOptions(command).action(async (words: string[], given: SampleOptions, command: Command) => {
    if (command.getOptionValueSource('checkpointEvery') === 'cli' && !given.resume) {
      throw new UsageError('--checkpoint-every is of use only with --resume.', { hint: 'Add --resume.' });
    }
    if (given.resume && given.seed === 'random') {
      throw new UsageError(
        '--resume goes on with what the same command began, and --seed random begins another picture.',
        {
          hint: 'Give a seed, such as --seed 7, or omit --resume.',
        },
      );
    }
    requireStrengthOfUse(command, given);
    const seed = given.from ? 0 : chosenSeed(given.seed);
    const receipt = given.from ? parseReceipt(await readReceipt(given.from), given.from) : undefined;
    if (given.from) requireRepeatable(command, given.from);
    checkOutputs(given);
    await requireOutputs(given);
    if (receipt && given.sheet && !receipt.policy) throw nothingCached();
    const base = receipt ? repeated(receipt, given.from as string, given) : requestOfTask(given, { prompt: '', seed });
    const inputs = await readInputs(base);
    const { embeddings } = inputs;
    const tasks = receipt
      ? [taskOf(receipt, words, { ...given, from: given.from as string })]
      : tasksOf(await promptsOf(words, given, embeddings), { ...given, seed });
    requireOwnPaths(tasks, {
      written: { '--sheet': given.sheet, '--preview': given.preview, '--save-embeddings': given.saveEmbeddings },
      read: { '--from': given.from, '--init': given.init, '--prompts-file': given.promptsFile },
    });
    for (const { out, name } of tasks) await (out ? requireMediaWritable(out) : requireWritableFolder(dirname(name)));
    const { kind } = await startBackend(command, { threads: await usualThreads(base.model, inputs.request) });
    if (receipt) await tellDigits(receipt, kind);
    await interruptible(signal => drawAll(tasks, given, inputs, signal, receipt));
  });
}

/** Says so where the digits of a receipt's run are not to be had here. */
async function tellDigits({ backend, kernels }: Receipt, kind: EngineKind): Promise<void> {
  if (backend !== kind) tell(`Made on ${backend}, repeated on ${kind}: the last digits may differ.\n`);
  else if (kind === 'wasm' && !(await hasLevel(kernels))) {
    const how = kernels === 'fma' ? ' that fuses products and sums' : ' of one thread';
    tell(`Made in a WebAssembly${how}, which is not to be had here: the last digits may differ.\n`);
  }
}

async function drawAll(
  tasks: readonly Task[],
  options: SampleOptions,
  inputs: Inputs,
  signal: AbortSignal,
  repeats?: Receipt,
): Promise<void> {
  const { request: asked, init, embeddings } = inputs;
  const { dtype, variant, transformer, transformer2, loras, vaeTiling: tiling = false } = asked;
  const { offload = false } = options;
  const model = await loadModel(asked.model, {
    dtype,
    variant,
    loras,
    transformer,
    transformer2,
    tiling,
    offload,
    ...(embeddings && { embeddings }),
  });
  const pairs: DrawnPair[] = [];
  try {
    requireRoomFor(tasks, options, model.info, asked);
    // A receipt says whether there was a negative prompt.
    const base = repeats ? asked : withKeptNegative(inputs, model);
    const requests = new Map(tasks.map(task => [task, { ...base, prompt: task.prompt, seed: task.seed }]));
    if (!repeats) await checkPolicy(base, options, { model, init });
    for (const line of idleNotes(base, model.info)) tell(line);
    const first = new Map([...requests.values()].map(request => [request.prompt, request]));
    await encodeAhead(
      model,
      [...first.values()].map(request => batchOf(request, model, init)),
      signal,
    );
    if (options.saveEmbeddings) await saveEmbeddings(model, tasks, base, options.saveEmbeddings);
    const { sheet, preview, resume, checkpointEvery } = options;
    const drawing = {
      ...{ model, init, signal, preview, repeats },
      paired: sheet !== undefined,
      ...(resume && { checkpointEvery }),
    };
    for (const [task, request] of requests) {
      const pair = await drawTask(drawing, task, request);
      if (pair) pairs.push(pair);
    }
  } finally {
    model.dispose();
    // Also after Ctrl-C: pairs that are finished are shown.
    if (options.sheet && pairs.length > 0) await writeSheet(options.sheet, pairs, model.info, asked);
  }
}

/** The request, with the negative prompt of kept embeddings where none was given and the run has a use for one. */
function withKeptNegative({ request, init, embeddings }: Inputs, model: Pipeline): FullRequest {
  const { negativePrompt, where = '' } = embeddings ?? {};
  if (negativePrompt === undefined || request.negativePrompt !== undefined) return request;
  if (!steersByText(model, batchOf(request, model, init))) return request;
  tell(keptNegativeNote(negativePrompt, where));
  return { ...request, negativePrompt };
}

/** A clip does not fit into a file of one picture, nor every rate and every sheet into its format. */
function requireRoomFor(
  tasks: readonly Task[],
  { sheet, preview }: SampleOptions,
  { kind, size, fps }: Pipeline['info'],
  request: FullRequest,
): void {
  const frames = kind === 'image' ? 1 : (request.size?.frames ?? size?.frames);
  for (const path of [...tasks.map(({ out }) => out), sheet, preview]) {
    if (path === undefined) continue;
    requireRoom(mediaFormat(path), frames);
    requireRate(mediaFormat(path), fps);
  }
  const { width = size?.width, height = size?.height } = request.size ?? {};
  if (sheet === undefined || width === undefined || height === undefined) return;
  const { scale } = request;
  requireSides(mediaFormat(sheet), pairSheetSize(tasks, {}, { width: scale * width, height: scale * height }));
}

/** Chooses the policy once ahead, so that one that does not fit, or that there is none, is said before any work. */
async function checkPolicy(
  request: FullRequest,
  { sheet }: SampleOptions,
  given: Pick<DrawOptions, 'model' | 'init'>,
): Promise<void> {
  const use = useOf(request, given);
  const chosen = await choosePolicy(request, use, policiesOnDisk);
  if (chosen) return;
  if (sheet) throw nothingCached();
  if (request.psnr !== undefined) tell(allComputedNote(request.psnr));
  if (request.guarantee) tell(noGuaranteeNote(request.guarantee));
  if (request.policy !== 'auto' || isBudget(request)) return;
  tell(noPolicyNote(given.model.info, use.sigmas.length - 1, use.guidance));
}

function nothingCached(): PolicyError {
  return new PolicyError('A sheet shows cached pictures above uncached ones, and no policy is in use.', {
    hint: 'Give a policy that fits as --policy; `ertacache calibrate` makes one.',
  });
}

async function saveEmbeddings(
  model: Pipeline,
  tasks: readonly Task[],
  { negativePrompt }: FullRequest,
  path: string,
): Promise<void> {
  const made = await model.embeddings?.();
  if (!made) {
    throw new UnsupportedError(`${model.info.id} has no text encoder whose work could be kept.`, {
      hint: 'Omit --save-embeddings.',
    });
  }
  await writeEmbeddings(path, {
    ...made,
    prompts: [...new Set(tasks.map(task => task.prompt))],
    ...(negativePrompt !== undefined && { negativePrompt }),
  });
  tell(`wrote the embeddings to ${path}\n`);
}

async function writeSheet(
  path: string,
  pairs: readonly DrawnPair[],
  { id, fps, defaults }: Pipeline['info'],
  { steps = defaults.steps, guidance = defaults.guidance }: FullRequest,
): Promise<void> {
  const sheet = await pairSheet(pairs, { title: id, subtitle: `${steps} steps, guidance ${guidance}` });
  await writeMedia(path, sheet, fps === undefined ? {} : { fps });
  print(`${path}  the cached ${pairs.length === 1 ? 'picture' : 'pictures'} above the uncached`);
}

/** What could not be written is refused before anything is loaded. */
async function requireOutputs({ sheet, preview, saveEmbeddings }: SampleOptions): Promise<void> {
  if (preview) await requireMediaWritable(preview);
  if (sheet) await requireMediaWritable(sheet);
  if (saveEmbeddings) await requireEmbeddingsWritable(saveEmbeddings);
}

/** Options that cannot be right together, before anything is loaded. */
function checkOutputs({ out, outDir, sheet, policy, embeddings, saveEmbeddings }: SampleOptions): void {
  if (sheet) {
    mediaFormat(sheet);
    if (policy === 'none') {
      throw new UsageError('--sheet shows cached pictures above uncached ones, and --policy none caches nothing.', {
        hint: 'Omit one of them.',
      });
    }
  }
  if (out && outDir) {
    throw new UsageError('--out and --out-dir both say where to write.', { hint: 'Omit one of them.' });
  }
  if (embeddings && saveEmbeddings) {
    throw new UsageError('--embeddings takes the place of the text encoders, so there is nothing to save.', {
      hint: 'Omit --save-embeddings.',
    });
  }
}

/** What is to be drawn: the prompts given, those of a file, or else those that the embeddings were made of. */
async function promptsOf(
  words: readonly string[],
  { promptsFile }: SampleOptions,
  embeddings: Inputs['embeddings'],
): Promise<readonly string[]> {
  const prompts = [...words, ...(promptsFile ? await promptLines(promptsFile) : [])];
  return prompts.length === 0 && embeddings ? embeddings.prompts : prompts;
}
