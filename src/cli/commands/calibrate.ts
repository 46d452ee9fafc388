import { Command, Option } from 'commander';
import type { RectifyForm } from '../../cache/rectify';
import type { SiteName } from '../../cache/sites';
import type { TimestepForm } from '../../cache/time-grid';
import {
  type CalibrateOptions,
  calibrate,
  calibrationForwards,
  type ScheduleRequest,
} from '../../calibration/calibrate';
import type { Granularity } from '../../calibration/fit';
import { measurePolicy } from '../../calibration/measure';
import { splitPairs } from '../../calibration/pairs';
import { type Fidelity, type PolicyData, reusedOf } from '../../calibration/policy-data';
import { writePolicy } from '../../calibration/policy-file';
import { computedSteps } from '../../calibration/walk';
import { UsageError } from '../../errors';
import { DEFAULT_MODEL, loadModel } from '../../pipelines/load';
import type { Pipeline } from '../../pipelines/pipeline';
import { readText } from '../../weights/node-file';
import { startBackend } from '../backend';
import { interruptible } from '../interrupt';
import { numberBetween, wholeNumber } from '../parse';
import { progressLine } from '../progress';

interface Options {
  readonly model: string;
  readonly steps?: number;
  readonly guidance?: number;
  readonly lambda?: number;
  readonly targetSpeedup: number;
  readonly prompts?: string;
  readonly pairs: number;
  readonly heldOut: number;
  readonly batch: number;
  readonly site: SiteName;
  readonly taylor: number;
  readonly timestep: TimestepForm;
  readonly rectify: RectifyForm;
  readonly granularity: Granularity;
  readonly name: string;
  readonly out?: string;
}

/** `ertacache calibrate`: a policy for one model, step count and guidance. */
export function calibrateCommand(): Command {
  return new Command('calibrate')
    .description('find out which steps a model can reuse, and how to correct them')
    .option('--model <folder>', 'a model folder, or the name of one that ships with ertacache', DEFAULT_MODEL)
    .option('--steps <n>', "denoising steps (default: the model's)", wholeNumber(1))
    .option('--guidance <g>', "classifier-free guidance (default: the model's)", numberBetween(0))
    .addOption(
      new Option('--lambda <x>', "the paper's threshold: reuse where the relative error is below it")
        .argParser(numberBetween(0))
        .conflicts('targetSpeedup'),
    )
    .option('--target-speedup <x>', 'compute one step in x', numberBetween(1), 2)
    .option('--prompts <file>', 'one prompt a line (default: those that the model lists)')
    .option('--pairs <n>', 'prompt and seed pairs to calibrate on', wholeNumber(1), 8)
    .option('--held-out <n>', 'other pairs to measure the policy on', wholeNumber(), 8)
    .option('--batch <n>', 'pairs to run at a time', wholeNumber(1), 8)
    .addOption(
      new Option('--site <site>', 'where the residual is taken')
        .choices(['hidden', 'output', 'velocity'])
        .default('hidden'),
    )
    .option('--taylor <strength>', 'extrapolate residuals: 0 reuse, 1 full first order', numberBetween(0, 1), 0)
    .addOption(
      new Option('--timestep <form>', 'adjust the step lengths').choices(['off', 'global', 'cycle']).default('off'),
    )
    .addOption(
      new Option('--rectify <form>', 'correct rebuilt outputs')
        .choices(['off', 'linear', 'sigmoid', 'lsq'])
        .default('lsq'),
    )
    .addOption(
      new Option('--granularity <g>', 'coefficients of linear and sigmoid')
        .choices(['scalar', 'channel'])
        .default('scalar'),
    )
    .option('--name <name>', 'name of the method in reports', 'ertacache')
    .option('--out <file>', 'policy file to write (default: named after the model and the run)')
    .action(async (options: Options, command: Command) => {
      await startBackend(command);
      await interruptible(async signal => {
        const pipeline = await loadModel(options.model);
        try {
          await calibrateAndWrite(pipeline, options, signal);
        } finally {
          pipeline.dispose();
        }
      });
    });
}

async function calibrateAndWrite(pipeline: Pipeline, options: Options, signal: AbortSignal): Promise<void> {
  const { info } = pipeline;
  const steps = options.steps ?? info.defaults.steps;
  const guidance = options.guidance ?? info.defaults.guidance;
  const prompts = options.prompts ? await promptLines(options.prompts) : info.prompts;
  const { calibration, evaluation } = splitPairs(prompts, options.pairs, options.heldOut);
  const request: CalibrateOptions = {
    name: options.name,
    pairs: calibration,
    steps,
    guidance,
    schedule: scheduleRequest(options, steps),
    site: options.site,
    taylor: options.taylor,
    timestep: options.timestep,
    rectify: options.rectify,
    granularity: options.granularity,
    batch: options.batch,
    signal,
  };
  const most = calibrationForwards(request);
  console.log(
    `Calibrating ${info.id} on ${calibration.length} pairs, ${steps} steps, guidance ${guidance}: at most ${most} forward passes.`,
  );
  const line = progressLine('calibrating', most);
  const policy = await calibrate(pipeline, {
    ...request,
    onProgress: done => line.update(done),
  }).finally(line.stop);
  const measured: PolicyData['measured'] = {
    calibration: await measurePolicy(pipeline, policy, calibration, { batch: options.batch, signal }),
    ...(evaluation.length > 0 && {
      heldOut: await measurePolicy(pipeline, policy, evaluation, { batch: options.batch, signal }),
    }),
  };
  const computed = computedSteps(reusedOf(policy.data.schedule));
  const out = options.out ?? `${info.id}-${steps}steps-g${guidance}-${computed}.json`;
  await writePolicy(out, { ...policy, data: { ...policy.data, measured } });
  console.log(
    `schedule   ${policy.data.schedule}  (${computed} of ${steps} computed, ${(steps / computed).toFixed(2)}×)`,
  );
  for (const [name, value] of Object.entries(measured)) console.log(fidelityLine(name, value));
  console.log(`wrote ${out}`);
}

function scheduleRequest({ lambda, targetSpeedup }: Options, steps: number): ScheduleRequest {
  if (lambda !== undefined) return { lambda };
  const computed = Math.round(steps / targetSpeedup);
  if (computed < 1 || computed >= steps) {
    throw new UsageError(`A speed-up of ${targetSpeedup} leaves ${computed} of ${steps} steps to compute.`, {
      hint: `Ask for a speed-up between ${(steps / (steps - 1)).toFixed(2)} and ${steps}.`,
    });
  }
  return { computed };
}

async function promptLines(path: string): Promise<string[]> {
  const lines = (await readText(path)).split(/\r?\n/).map(line => line.trim());
  const prompts = lines.filter(line => line !== '' && !line.startsWith('#'));
  if (prompts.length > 0) return prompts;
  throw new UsageError(`${path} holds no prompts.`, { hint: 'Write one prompt a line.' });
}

function fidelityLine(name: string, { pairs, psnr, ssim }: Fidelity): string {
  const label = name === 'heldOut' ? 'held out' : 'calibrated';
  return `${label.padEnd(10)} PSNR ${psnr.mean.toFixed(2)} dB (worst ${psnr.min.toFixed(2)}), SSIM ${ssim.mean.toFixed(4)}, ${pairs} pairs`;
}
