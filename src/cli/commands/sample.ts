import { Command } from 'commander';
import { parseReceipt, type Receipt } from '../../draw/receipt';
import { UnsupportedError, UsageError } from '../../errors';
import { readReceipt } from '../../media/receipt';
import { mediaFormat, writeMedia } from '../../media/write';
import { writeEmbeddings } from '../../pipelines/embeddings-file';
import { DEFAULT_MODEL, loadModel } from '../../pipelines/load';
import { DEFAULT_STRENGTH, refusePicture } from '../../sampling/initial-picture';
import { startBackend } from '../backend';
import { encodeAhead } from '../encode-ahead';
import { interruptible } from '../interrupt';
import { numberBetween, wholeNumber } from '../parse';
import { addPictureOptions, loadingOptions } from '../picture-options';
import { promptLines } from '../prompts';
import { checkPolicyFile } from '../sample/choose-policy';
import { type Drawing, type DrawOptions, drawPicture, requestOf } from '../sample/draw';
import { type InputOptions, type Inputs, readInputs } from '../sample/inputs';
import { type DrawnPair, pairSheet } from '../sample/pair-sheet';
import { type Task, type TaskOptions, taskOf, tasksOf } from '../sample/tasks';
import { usualThreads } from '../usual-threads';

interface SampleOptions extends DrawOptions, InputOptions, TaskOptions {
  readonly promptsFile?: string;
  readonly saveEmbeddings?: string;
}

/** `ertacache sample`: a prompt to a picture. */
export function sampleCommand(): Command {
  const command = new Command('sample')
    .description('draw a picture or a clip from a prompt')
    .argument('[prompt...]', 'what to draw; several prompts give several pictures')
    .option('--prompts-file <file>', 'more prompts, one a line')
    .option(
      '--model <folder>',
      `a model folder, or the name of one that ships with ertacache (default: ${DEFAULT_MODEL})`,
    )
    .option(
      '--policy <file>',
      'a calibrated policy; auto takes the shipped one that fits; none computes every step',
      'auto',
    )
    .option('--steps <n>', "denoising steps (default: the model's)", wholeNumber(1))
    .option('--guidance <g>', "classifier-free guidance; 1 turns it off (default: the model's)", numberBetween(0))
    .option('--seed <n>', 'seed of the first picture; PyTorch draws the same noise from it', wholeNumber(), 0)
    .option('--num-images <n>', 'pictures of each prompt, with seeds counted up', wholeNumber(1), 1)
    .option('--negative <prompt>', 'what to steer away from')
    .option('--init <picture>', 'begin with a picture in place of noise (FLUX, fluent-emoji)')
    .option(
      '--strength <s>',
      'how much of the picture is drawn anew: the last s of all steps are run',
      numberBetween(0, 1),
      DEFAULT_STRENGTH,
    )
    .option('--out <file>', 'file to write: .png, .webp, .gif, .mp4, or frames/ (default: named after prompt and seed)')
    .option('--out-dir <folder>', 'folder for files that are named after prompt and seed')
    .option('--sheet <file>', 'also draw every picture uncached, and write a sheet with the cached above the uncached')
    .option('--scale <n>', 'enlarge the file this many times, pixel by pixel', wholeNumber(1), 1)
    .option('--save-embeddings <file>', 'keep what the text encoders make of the prompts')
    .option('--embeddings <file>', 'use kept embeddings: no text encoder is loaded; their prompts, if none is given')
    .option('--from <file>', 'repeat the run that made this picture');
  return addPictureOptions(command).action(async (words: string[], given: SampleOptions, command: Command) => {
    if (command.getOptionValueSource('strength') === 'cli' && given.init === undefined) {
      throw new UsageError('--strength says how much of a picture is drawn anew, and no --init names one.', {
        hint: 'Add --init PICTURE, or leave --strength away.',
      });
    }
    const receipt = given.from ? parseReceipt(await readReceipt(given.from), given.from) : undefined;
    const options = receipt ? settingsOf(receipt, given) : given;
    checkOutputs(options);
    const inputs = await readInputs(options, receipt);
    const negative = options.negative ?? inputs.embeddings?.negativePrompt;
    const tasks = receipt
      ? [taskOf(receipt, words, { ...options, from: given.from as string })]
      : tasksOf(await promptsOf(words, options, inputs), options);
    for (const { out } of tasks) if (out) mediaFormat(out);
    const { kind } = await startBackend(command, { threads: await usualThreads(options.model) });
    if (receipt && receipt.backend !== kind) {
      process.stderr.write(`Made on ${receipt.backend}, repeated on ${kind}: the last digits may differ.\n`);
    }
    await interruptible(signal =>
      drawAll(tasks, { ...options, ...(negative !== undefined && { negative }) }, inputs, kind, signal, receipt),
    );
  });
}

async function drawAll(
  tasks: readonly Task[],
  options: SampleOptions,
  inputs: Inputs,
  backend: string,
  signal: AbortSignal,
  repeats?: Receipt,
): Promise<void> {
  const pipeline = await loadModel(options.model, {
    ...loadingOptions(options),
    ...(inputs.embeddings && { embeddings: inputs.embeddings }),
  });
  const pairs: DrawnPair[] = [];
  try {
    if (pipeline.info.kind === 'clip') refusePicture(inputs, pipeline.info.id);
    if (!repeats) await checkPolicyFile(options.policy, pipeline.info, options);
    const drawing: Drawing = { pipeline, options, inputs, backend, signal, ...(repeats && { repeats }) };
    const first = new Map(tasks.map(task => [task.prompt, task]));
    await encodeAhead(
      pipeline,
      [...first.values()].map(task => requestOf(drawing, task)),
      signal,
    );
    if (options.saveEmbeddings) await saveEmbeddings(drawing, tasks, options.saveEmbeddings);
    for (const task of tasks) {
      const pair = await drawPicture(drawing, task);
      if (pair) pairs.push(pair);
    }
  } finally {
    pipeline.dispose();
    // Also after Ctrl-C: pairs that are finished are shown.
    if (options.sheet && pairs.length > 0) await writeSheet(options.sheet, pairs, pipeline.info, options);
  }
}

async function saveEmbeddings({ pipeline, options }: Drawing, tasks: readonly Task[], path: string): Promise<void> {
  const made = await pipeline.embeddings?.();
  if (!made) {
    throw new UnsupportedError(`${pipeline.info.id} has no text encoder whose work could be kept.`, {
      hint: 'Leave --save-embeddings away.',
    });
  }
  await writeEmbeddings(path, {
    ...made,
    prompts: [...new Set(tasks.map(task => task.prompt))],
    ...(options.negative !== undefined && { negativePrompt: options.negative }),
  });
  process.stderr.write(`wrote the embeddings to ${path}\n`);
}

async function writeSheet(
  path: string,
  pairs: readonly DrawnPair[],
  { id, fps, defaults }: Drawing['pipeline']['info'],
  { steps = defaults.steps, guidance = defaults.guidance }: SampleOptions,
): Promise<void> {
  const sheet = await pairSheet(pairs, { title: id, subtitle: `${steps} steps, guidance ${guidance}` });
  await writeMedia(path, sheet, fps === undefined ? {} : { fps });
  console.log(`${path}  the cached ${pairs.length === 1 ? 'picture' : 'pictures'} above the uncached`);
}

/** Options that cannot be right together, before anything is loaded. */
function checkOutputs({ out, outDir, sheet, policy, embeddings, saveEmbeddings }: SampleOptions): void {
  if (sheet) {
    mediaFormat(sheet);
    if (policy === 'none') {
      throw new UsageError('--sheet shows cached pictures above uncached ones, and --policy none caches nothing.', {
        hint: 'Leave one of them away.',
      });
    }
  }
  if (out && outDir) {
    throw new UsageError('--out and --out-dir both say where to write.', { hint: 'Leave one of them away.' });
  }
  if (embeddings && saveEmbeddings) {
    throw new UsageError('--embeddings takes the place of the text encoders, so there is nothing to save.', {
      hint: 'Leave --save-embeddings away.',
    });
  }
}

/** What is to be drawn: the prompts given, those of a file, or else those that the embeddings were made of. */
async function promptsOf(
  words: readonly string[],
  { promptsFile }: SampleOptions,
  { embeddings }: Inputs,
): Promise<readonly string[]> {
  const prompts = [...words, ...(promptsFile ? await promptLines(promptsFile) : [])];
  return prompts.length === 0 && embeddings ? embeddings.prompts : prompts;
}

function settingsOf(receipt: Receipt, options: SampleOptions): SampleOptions {
  const { init, embeddings } = receipt;
  return {
    ...options,
    model: options.model ?? receipt.model.path,
    policy: receipt.policy ? (receipt.policy.path ?? 'auto') : 'none',
    steps: receipt.steps,
    guidance: receipt.guidance,
    scale: receipt.scale,
    dtype: receipt.dtype ?? 'float32',
    ...receipt.size,
    ...(receipt.maxSequenceLength !== undefined && { maxSequenceLength: receipt.maxSequenceLength }),
    ...(receipt.negativePrompt !== undefined && { negative: receipt.negativePrompt }),
    ...(receipt.vaeTiling && { vaeTiling: true }),
    ...(init && { init: options.init ?? init.path, strength: init.strength }),
    ...(embeddings && { embeddings: options.embeddings ?? embeddings.path }),
  };
}
