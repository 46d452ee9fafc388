import { inspect } from 'node:util';
import { Command, CommanderError, Option } from 'commander';
import { ErtaError } from '../errors';
import { packageVersion } from '../io/package-root';
import { benchCommand } from './commands/bench';
import { calibrateCommand } from './commands/calibrate';
import { compareCommand } from './commands/compare';
import { convertCommand } from './commands/convert';
import { demoCommand } from './commands/demo';
import { doctorCommand } from './commands/doctor';
import { downloadCommand } from './commands/download';
import { engineCommand } from './commands/engine';
import { exportCommand } from './commands/export';
import { infoCommand } from './commands/info';
import { inspectCommand } from './commands/inspect';
import { metricsCommand } from './commands/metrics';
import { policyCommand } from './commands/policy';
import { sampleCommand } from './commands/sample';
import { verifyCommand } from './commands/verify';
import { wholeNumber } from './parse';
import { tell } from './say';

/** The whole command line, with nothing run yet. */
export function program(): Command {
  return new Command('ertacache')
    .description('Fast diffusion sampling: reuse work between denoising steps, without training.')
    .addOption(
      new Option('--backend <name>', 'where tensors run')
        .choices(['auto', 'gpu', 'webgpu', 'native', 'wasm', 'cpu'])
        .default('auto')
        .env('ERTACACHE_BACKEND'),
    )
    .addOption(
      new Option(
        '--threads <n>',
        'threads to compute with (default: one on wasm; all on native, one for the pictures of a small model)',
      )
        .argParser(wholeNumber(1))
        .env('ERTACACHE_THREADS'),
    )
    .option('--verbose', 'say more, and show stack traces', false)
    .version(packageVersion(), '--version', 'print the version')
    .showHelpAfterError('(add --help for the options)')
    .addCommand(sampleCommand())
    .addCommand(calibrateCommand())
    .addCommand(compareCommand())
    .addCommand(demoCommand())
    .addCommand(benchCommand())
    .addCommand(convertCommand())
    .addCommand(doctorCommand())
    .addCommand(downloadCommand())
    .addCommand(engineCommand())
    .addCommand(exportCommand())
    .addCommand(infoCommand())
    .addCommand(inspectCommand())
    .addCommand(metricsCommand())
    .addCommand(policyCommand())
    .addCommand(verifyCommand());
}

/** Makes a command and its subcommands throw where commander would end the process with a code of its own. */
function throwing(command: Command): Command {
  command.commands.forEach(throwing);
  return command.exitOverride();
}

function report(error: unknown, verbose: boolean): void {
  if (ErtaError.isInstance(error)) {
    tell(`ertacache: ${error.message}${error.hint ? `\n  ${error.hint}` : ''}\n`);
  } else {
    const message = error instanceof Error ? error.message : String(error);
    tell(`ertacache: unexpected failure: ${message}\n`);
  }
  // Unlike the stack alone, this shows the cause too, such as what a compiler said.
  if (verbose && error instanceof Error) tell(`${inspect(error)}\n`);
}

/**
 * Runs one command line.
 * @returns the exit code: 0 done, 1 failed (or a check did not hold), 2 used wrongly, 130 interrupted
 */
export async function run(argv: readonly string[]): Promise<number> {
  const root = throwing(program());
  // Commands set it where a check does not hold; a former command line's must not be taken for this one's.
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    await root.parseAsync([...argv]);
    return Number(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    report(error, argv.includes('--verbose'));
    if (!ErtaError.isInstance(error)) return 1;
    if (error.code === 'interrupted') return 130;
    return error.code === 'usage' ? 2 : 1;
  } finally {
    process.exitCode = before;
  }
}
