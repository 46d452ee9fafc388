import { Command } from 'commander';
import { ertacache } from '../../cache/ertacache';
import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import { defaultPolicy, policyByHash } from '../../calibration/find-policy';
import { type Policy, policySettings, requireFits } from '../../calibration/policy-data';
import { policyHash, readPolicy } from '../../calibration/policy-file';
import { PolicyError, UsageError } from '../../errors';
import { enlarged } from '../../media/pixels';
import { readReceipt } from '../../media/receipt';
import { mediaFormat, writeMedia } from '../../media/write';
import { packageVersion } from '../../package-root';
import { DEFAULT_MODEL, loadModel } from '../../pipelines/load';
import type { Pipeline, Request } from '../../pipelines/pipeline';
import { parseReceipt, type Receipt } from '../../pipelines/receipt';
import { runJob } from '../../pipelines/sample';
import { isFile } from '../../weights/node-file';
import { startBackend } from '../backend';
import { interruptible } from '../interrupt';
import { numberBetween, wholeNumber } from '../parse';
import { addPictureOptions, type PictureOptions, pictureRequest } from '../picture-options';
import { stepLine } from '../progress';

interface SampleOptions extends PictureOptions {
  readonly model?: string;
  readonly policy: string;
  readonly steps?: number;
  readonly guidance?: number;
  readonly seed: number;
  readonly numImages: number;
  readonly negative?: string;
  readonly out?: string;
  readonly scale: number;
  readonly from?: string;
}

/** One picture to make. */
interface Task {
  readonly prompt: string;
  readonly seed: number;
  /** Prompt and seed as a file name without its extension, which depends on the model. */
  readonly name: string;
  readonly out?: string;
}

/** `ertacache sample`: a prompt to a picture. */
export function sampleCommand(): Command {
  const command = new Command('sample')
    .description('draw a picture from a prompt')
    .argument('[prompt...]', 'what to draw; several prompts give several pictures')
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
    .option('--out <file>', 'file to write (default: named after prompt and seed)')
    .option('--scale <n>', 'enlarge the file this many times, pixel by pixel', wholeNumber(1), 1)
    .option('--from <file>', 'repeat the run that made this picture');
  return addPictureOptions(command).action(async (words: string[], options: SampleOptions, command: Command) => {
    const receipt = options.from ? parseReceipt(await readReceipt(options.from), options.from) : undefined;
    const settings = receipt ? settingsOf(receipt, options) : options;
    const tasks = receipt ? [taskOf(receipt, words, options)] : tasksOf(words, options);
    for (const { out } of tasks) if (out) mediaFormat(out);
    const { kind } = await startBackend(command);
    if (receipt && receipt.backend !== kind) {
      process.stderr.write(`Made on ${receipt.backend}, repeated on ${kind}: the last digits may differ.\n`);
    }
    await interruptible(async signal => {
      const pipeline = await loadModel(settings.model, { offload: settings.offload ?? false });
      try {
        for (const task of tasks) await makePicture(pipeline, task, settings, kind, signal, receipt);
      } finally {
        pipeline.dispose();
      }
    });
  });
}

function tasksOf(prompts: readonly string[], { seed, numImages, out }: SampleOptions): Task[] {
  if (prompts.length === 0) {
    throw new UsageError('There is no prompt.', { hint: 'Say what to draw: ertacache sample "red heart".' });
  }
  const names = uniqueNames(prompts.map(slug));
  const tasks = prompts.flatMap((prompt, p) =>
    Array.from({ length: numImages }, (_, i) => ({ prompt, seed: seed + i, name: `${names[p]}-${seed + i}` })),
  );
  if (out && tasks.length > 1) {
    throw new UsageError(`--out names one file and ${tasks.length} pictures were asked for.`, {
      hint: 'Leave --out away: every picture is named after its prompt and seed.',
    });
  }
  return tasks.map(task => ({ ...task, ...(out && { out }) }));
}

/** A prompt as a file name. */
function slug(prompt: string): string {
  const words = prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['picture'];
  return words.join('-').slice(0, 60);
}

/** Names of which a later equal one is told apart by its number. */
function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map(name => {
    let unique = name;
    for (let n = 2; taken.has(unique); n++) unique = `${name}-${n}`;
    taken.add(unique);
    return unique;
  });
}

function taskOf(receipt: Receipt, prompts: readonly string[], { out, from }: SampleOptions): Task {
  if (prompts.length > 0) {
    throw new UsageError(`--from repeats the run of ${from}, which has its own prompt.`, {
      hint: 'Leave the prompt away, or leave --from away.',
    });
  }
  const { prompt, seed } = receipt;
  return { prompt, seed, name: slug(prompt), out: out ?? (from as string).replace(/(\.\w+)$/, '-again$1') };
}

function settingsOf(receipt: Receipt, options: SampleOptions): SampleOptions {
  return {
    ...options,
    model: options.model ?? receipt.model.path,
    policy: receipt.policy ? (receipt.policy.path ?? 'auto') : 'none',
    steps: receipt.steps,
    guidance: receipt.guidance,
    scale: receipt.scale,
    ...receipt.size,
    ...(receipt.maxSequenceLength !== undefined && { maxSequenceLength: receipt.maxSequenceLength }),
    ...(receipt.negativePrompt !== undefined && { negative: receipt.negativePrompt }),
  };
}

async function makePicture(
  pipeline: Pipeline,
  task: Task,
  options: SampleOptions,
  backend: string,
  signal: AbortSignal,
  repeats?: Receipt,
): Promise<void> {
  const { info } = pipeline;
  const out = task.out ?? `${task.name}.${info.kind === 'clip' ? 'webp' : 'png'}`;
  if (repeats && repeats.model.hash !== info.hash) {
    throw new UsageError(`${options.from} was made with another version of the model "${repeats.model.id}".`, {
      hint: 'Give the model it was made with as --model.',
    });
  }
  warnOfUnknownWords(pipeline, task.prompt);
  const request: Request = {
    prompts: [task.prompt],
    seeds: [task.seed],
    steps: options.steps ?? info.defaults.steps,
    guidance: options.guidance ?? info.defaults.guidance,
    ...(options.negative !== undefined && { negativePrompt: options.negative }),
    ...pictureRequest(options),
  };
  const job = await pipeline.prepare(request);
  const line = stepLine(task.prompt, request.steps);
  try {
    const use = { model: info, scheduler: info.schedulerClass, guidance: request.guidance, sigmas: job.sigmas };
    const chosen = repeats?.policy
      ? await policyOfReceipt(repeats.policy)
      : await choosePolicy(options.policy, use, request);
    const cache: CachePolicy = chosen ? ertacache(policySettings(chosen.policy)) : none();
    const result = await runJob(pipeline, job, cache, {
      signal,
      onStep: step => line.step(step.decisions.includes('compute'), step.seconds),
    });
    line.stop();
    const receipt: Receipt = {
      tool: 'ertacache',
      version: packageVersion(),
      model: { id: info.id, hash: info.hash, path: options.model ?? DEFAULT_MODEL },
      prompt: task.prompt,
      ...(options.negative !== undefined && { negativePrompt: options.negative }),
      seed: task.seed,
      steps: request.steps,
      guidance: request.guidance,
      ...pictureRequest(options),
      scale: options.scale,
      backend,
      policy: chosen
        ? { name: cache.name, hash: policyHash(chosen.policy), ...(chosen.path && { path: chosen.path }) }
        : null,
      schedule: result.schedule,
      forwards: result.forwards,
    };
    await writeMedia(out, enlarged(result.media[0]!, options.scale), {
      receipt,
      ...(info.fps !== undefined && { fps: info.fps }),
    });
    console.log(
      `${out}  ${result.schedule}  ${result.forwards} of ${request.steps} forwards, ${result.seconds.toFixed(2)} s`,
    );
  } finally {
    line.stop();
    job.release();
  }
}

interface Chosen {
  readonly policy: Policy;
  readonly path?: string;
}

async function choosePolicy(
  name: string,
  use: Parameters<typeof requireFits>[1],
  { steps, guidance }: Request,
): Promise<Chosen | undefined> {
  if (name === 'none') return undefined;
  if (name === 'auto') {
    const policy = await defaultPolicy(use);
    if (policy) return { policy };
    process.stderr.write(
      `No shipped policy fits ${use.model.id} at ${steps} steps and guidance ${guidance}: every step is computed. ` +
        'Make one with `ertacache calibrate`.\n',
    );
    return undefined;
  }
  const policy = await readPolicy(name);
  requireFits(policy.data, use);
  return { policy, path: name };
}

/** The very policy that made a picture: from its file if that is unchanged, else the shipped one of the same hash. */
async function policyOfReceipt({ name, hash, path }: NonNullable<Receipt['policy']>): Promise<Chosen> {
  if (path && (await isFile(path))) {
    const policy = await readPolicy(path);
    if (policyHash(policy) === hash) return { policy, path };
  }
  const policy = await policyByHash(hash);
  if (policy) return { policy };
  throw new PolicyError(`The policy "${name}" (${hash}) that made the picture is not here any more.`, {
    hint: path ? `Put ${path} back as it was.` : 'Use the version of ertacache that made the picture.',
  });
}

function warnOfUnknownWords(pipeline: Pipeline, prompt: string): void {
  const unknown = pipeline.unknownWords(prompt);
  if (unknown.length > 0) {
    process.stderr.write(`${pipeline.info.id} does not know ${unknown.map(w => `"${w}"`).join(', ')}: left out.\n`);
  }
}
