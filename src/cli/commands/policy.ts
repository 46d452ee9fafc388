import { Command, Option } from 'commander';
import { PolicyError } from '../../errors';
import { MOST } from '../../io/counts';
import { policyText } from '../../lab/report/policy-text';
import { loadModel } from '../../pipelines/load';
import { atBudget, type Budget, computedBy } from '../../policy/budget';
import { type Policy, SAME_SIGMA } from '../../policy/data';
import { exportMask, type MaskFormat, maskAdvice, maskFormats } from '../../policy/export-mask';
import { requirePolicyWritable, writePolicy } from '../../policy/file';
import { readNamedPolicy } from '../../policy/on-disk';
import { resamplePolicy, resampleSigmas } from '../../policy/resample';
import { startBackend } from '../backend';
import { wholeNumber } from '../parse';
import { boundCommand } from './policy-bound';

/** `ertacache policy`: look at a calibrated policy, hand its schedule to other programs, fit it to other steps. */
export function policyCommand(): Command {
  return new Command('policy')
    .addCommand(showCommand())
    .addCommand(exportCommand())
    .addCommand(resampleCommand())
    .addCommand(boundCommand());
}

function showCommand(): Command {
  return new Command('show')
    .description('draw a policy: its schedule over the noise level, its corrections, what it was measured at')
    .argument('<file>', 'the .json of a policy, or the name of a shipped one')
    .action(async (file: string) => console.log(policyText(await readNamedPolicy(file))));
}

function exportCommand(): Command {
  return new Command('export')
    .description("print a policy's schedule as other programs take it")
    .argument('<file>', 'the .json of a policy, or the name of a shipped one')
    .addOption(
      new Option('--format <program>', 'cache-dit: steps_computation_mask; sd.cpp: options of stable-diffusion.cpp')
        .choices(maskFormats)
        .makeOptionMandatory(),
    )
    .addOption(budgetOption())
    .action(async (file: string, { format, forwards }: { format: MaskFormat } & Budget) => {
      const policy = await readOneBudget(file, forwards);
      console.log(exportMask(policy, format));
      process.stderr.write(`${maskAdvice(policy, format)}\n`);
    });
}

interface ResampleOptions {
  readonly steps: number;
  readonly out: string;
  readonly model?: string | undefined;
  readonly forwards?: number | undefined;
}

/** Of a file with many budgets one is exported or resampled. */
const budgetOption = (): Option =>
  new Option('--forwards <n>', 'of a policy with many budgets, that of at most so many forward passes').argParser(
    wholeNumber(1, MOST.steps),
  );

/** The policy of that budget; where none is asked for, the one that runs take, which is said. */
async function readOneBudget(file: string, forwards: number | undefined): Promise<Policy> {
  const policy = await readNamedPolicy(file);
  if (policy.budgets && forwards === undefined) {
    process.stderr.write(
      `Of ${policy.budgets.length} budgets the one with ${computedBy(policy)} forward passes is taken; --forwards takes another.\n`,
    );
  }
  return atBudget(policy, { forwards });
}

function resampleCommand(): Command {
  return new Command('resample')
    .description('make a policy for another number of steps; its rectification is not carried over')
    .argument('<file>', 'the .json of a policy, or the name of a shipped one')
    .requiredOption('--steps <n>', 'steps of the new policy', wholeNumber(1, MOST.steps))
    .requiredOption('--out <file>', 'the .json to write; a policy of that name is replaced')
    .option('--model <folder>', 'take the noise levels from this model, where they do not follow from the policy')
    .addOption(budgetOption())
    .action(async (file: string, options: ResampleOptions, command: Command) => {
      await requirePolicyWritable(options.out, false);
      const policy = await readOneBudget(file, options.forwards);
      const sigmas = options.model
        ? await sigmasOfModel(options.model, policy, options.steps, command)
        : sigmasOfPolicy(file, policy, options.steps);
      const resampled = resamplePolicy(policy, sigmas);
      await writePolicy(options.out, resampled);
      console.log(`${policy.data.schedule}\n${resampled.data.schedule}\nwrote ${options.out}`);
      if (policy.data.rectify.form !== 'off') {
        process.stderr.write(
          `The rectification (${policy.data.rectify.form}) belongs to the steps it was fitted on and is not carried over; ` +
            `calibrate at ${options.steps} steps to have one.\n`,
        );
      }
    });
}

function sigmasOfPolicy(file: string, { data }: Policy, steps: number): number[] {
  const sigmas = resampleSigmas(data.sigmas, steps);
  if (sigmas) return sigmas;
  throw new PolicyError(`The noise schedule of ${file} is not one whose other step counts follow from it.`, {
    hint: 'Give the model with --model.',
  });
}

async function sigmasOfModel(model: string, { data }: Policy, steps: number, command: Command): Promise<number[]> {
  await startBackend(command);
  const pipeline = await loadModel(model);
  try {
    const { info } = pipeline;
    if (info.hash !== data.model.hash) {
      throw new PolicyError(
        `The policy was calibrated for the model "${data.model.id}" (${data.model.hash.slice(0, 12)}), not for "${info.id}" (${info.hash.slice(0, 12)}).`,
        { hint: 'Give the model that it was calibrated for.' },
      );
    }
    const sigmasAt = (count: number): readonly number[] =>
      pipeline.schedule({ steps: count, guidance: data.guidance }).sigmas;
    const own = sigmasAt(data.sigmas.length - 1);
    if (own.some((sigma, i) => Math.abs(sigma - (data.sigmas[i] as number)) > SAME_SIGMA)) {
      throw new PolicyError(
        `The policy has another noise schedule than ${info.id} unless asked (another shift or size).`,
        {
          hint: 'Omit --model, or calibrate at that number of steps.',
        },
      );
    }
    return [...sigmasAt(steps)];
  } finally {
    pipeline.dispose();
  }
}
