import { Command } from 'commander';
import { requireBoundPairs } from '../../calibration/bound/measure-bound';
import { UsageError } from '../../errors';
import { MOST } from '../../io/counts';
import { boundLines } from '../../lab/report/bound-text';
import { DEFAULT_MODEL } from '../../pipelines/default-model';
import { budgetsOf } from '../../policy/budget';
import type { PolicyData } from '../../policy/data';
import { readPolicy, requirePolicyWritable, writePolicy } from '../../policy/file';
import { hasLorasOf } from '../../policy/loras';
import type { Pipeline } from '../../sampling/pipeline';
import { policyUse } from '../../sampling/policy-use';
import { startBackend } from '../backend';
import { withBounds } from '../calibrate/bounds';
import { interruptible } from '../interrupt';
import { wholeNumber } from '../parse';
import { addPictureOptions, loadForPictures, type PictureOptions } from '../picture-options';
import { promptsFor } from '../prompts';

interface Options extends PictureOptions {
  readonly model: string;
  readonly prompts?: string | undefined;
  readonly pairs: number;
  readonly batch: number;
}

/** `ertacache policy bound`: what the pictures of policies that there are keep at least. */
export function boundCommand(): Command {
  const command = new Command('bound')
    .description('find what the pictures of policies keep at least, and write it into their files')
    .argument('<file...>', 'the .json of policies for the same steps and guidance')
    .option('--model <folder>', 'the model that they were calibrated for', DEFAULT_MODEL)
    .option('--pairs <n>', 'prompt and seed pairs that no choice has seen', wholeNumber(1, MOST.pictures), 128)
    .option('--prompts <file>', 'one prompt a line (default: those that the model lists)')
    .option('--batch <n>', 'pairs to run at a time', wholeNumber(1, MOST.rows), 8);
  return addPictureOptions(command).action(async (files: string[], options: Options, command: Command) => {
    requireBoundPairs(options.pairs);
    const policies = await Promise.all(files.map(readPolicy));
    for (const [i, file] of files.entries()) {
      await requirePolicyWritable(file, policies[i]?.data.rectify.form !== 'off');
    }
    await startBackend(command);
    await interruptible(async signal => {
      const pipeline = await loadForPictures(options.model, options);
      try {
        for (const [i, { data }] of policies.entries()) requireOwnLoras(files[i] as string, data, pipeline);
        const prompts = await promptsFor(pipeline.info, options.prompts);
        const { pairs, batch, negativePrompt: negative } = options;
        const bounded = await withBounds(pipeline, policies, { prompts, pairs, negative, batch, signal });
        for (const [i, policy] of bounded.entries()) {
          const file = files[i] as string;
          await writePolicy(file, policy);
          for (const { data } of budgetsOf(policy)) {
            console.log([`${file}  ${data.schedule}`, ...(data.bound ? boundLines(data.bound) : [])].join('\n'));
          }
        }
      } finally {
        pipeline.dispose();
      }
    });
  });
}

/** A policy keeps with which LoRAs it was calibrated, and its bound has to be of the same pictures. */
function requireOwnLoras(file: string, data: PolicyData, { info }: Pipeline): void {
  if (hasLorasOf(data, policyUse(info, data.guidance, data))) return;
  throw new UsageError(`${file} was calibrated with other LoRAs than ${info.id} is loaded with.`, {
    hint: 'Give the same --lora options as in its calibration, or calibrate a policy with these.',
  });
}
