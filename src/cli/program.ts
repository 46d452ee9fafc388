import { inspect } from 'node:util';
import { Command, CommanderError, Option } from 'commander';
import { ErtaError, UsageError } from '../errors';
import { MOST } from '../io/counts';
import { printable } from '../printable';
import { VERSION } from '../version';
import { commandEntries } from './commands';
import { wholeNumber } from './parse';
import { tell } from './say';

/**
 * The command line, with nothing run yet.
 * @param needed the commands that are loaded; the others are named in the list of commands only
 */
export async function program(needed: (name: string) => boolean = () => true): Promise<Command> {
  const root = new Command('ertacache')
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
        .argParser(wholeNumber(1, MOST.threads))
        .env('ERTACACHE_THREADS'),
    )
    .option('--verbose', 'say more, and show stack traces', false)
    .version(VERSION, '--version', 'print the version')
    .showHelpAfterError('(add --help for the options)');
  for (const { name, description, load } of commandEntries) {
    const command = needed(name) ? await load() : new Command(name);
    root.addCommand(command.description(description));
  }
  return root.hook('preAction', (_, command) => requireValues(command));
}

/** @throws UsageError for an option whose value is empty, as that of a variable that is not set: it would be passed over */
function requireValues(command: Command): void {
  for (const option of command.options) {
    // An empty prompt is one.
    if (!option.required || option.flags.includes('<prompt>')) continue;
    const name = option.attributeName();
    if (command.getOptionValueSource(name) !== 'cli' || ![command.getOptionValue(name)].flat().includes('')) continue;
    throw new UsageError(`${option.long} is empty.`, { hint: 'Give it a value, or omit it.' });
  }
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
    tell(`ertacache: unexpected failure: ${printable(message)}\n`);
  }
  // Unlike the stack alone, this shows the cause too, such as what a compiler said.
  if (verbose && error instanceof Error) tell(`${inspect(error)}\n`);
}

/**
 * Runs one command line.
 * @returns the exit code: 0 done, 1 failed (or a check did not hold), 2 used wrongly, 130 interrupted
 */
export async function run(argv: readonly string[]): Promise<number> {
  const root = throwing(await program(name => argv.includes(name)));
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
