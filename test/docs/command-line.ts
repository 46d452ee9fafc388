import type { Command } from 'commander';
import { program } from '../../src/cli/program';

/** What is wrong with a command line, as the program itself would say it; nothing is run. */
export async function commandLineFault(words: readonly string[]): Promise<string | undefined> {
  const root = await program();
  inert(root);
  try {
    root.parse([...words], { from: 'user' });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Takes the actions out of a command and its subcommands. */
function inert(command: Command): void {
  command.exitOverride().configureOutput({ writeErr() {}, writeOut() {} });
  if (command.commands.length === 0) command.action(() => {});
  command.commands.forEach(inert);
}
