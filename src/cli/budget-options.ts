import { type Command, Option } from 'commander';
import type { FullRequest } from '../draw/request';
import { MOST } from '../io/counts';
import { guaranteeText, numberBetween, wholeNumber } from './parse';

/** What says how much of a run is computed, in place of a policy's name. */
export type BudgetOptions = Pick<FullRequest, 'forwards' | 'speedup' | 'psnr' | 'guarantee'>;

/** The options of what is drawn by the policy of a budget; one of them is given at most. */
export function addBudgetOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--forwards <n>', 'compute at most n steps: the policy of that budget')
        .argParser(wholeNumber(1, MOST.steps))
        .conflicts(['speedup', 'psnr', 'guarantee']),
    )
    .addOption(
      new Option('--speedup <x>', 'compute at most one step in x')
        .argParser(numberBetween(1, MOST.steps))
        .conflicts(['psnr', 'guarantee']),
    )
    .option(
      '--psnr <dB>',
      'compute the fewest steps whose mean PSNR reached this when the policy was measured',
      numberBetween(0, 100),
    )
    .addOption(
      new Option(
        '--guarantee <dB@confidence>',
        'such as 40dB@90%: compute the fewest steps whose bound holds, and doubtful pictures again with more',
      )
        .argParser(guaranteeText)
        .conflicts(['psnr', 'resume']),
    );
}
