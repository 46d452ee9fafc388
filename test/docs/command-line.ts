import type { Command } from 'commander';
import { program } from '../../src/cli/program';

/** The words of a command line as a shell splits them. */
const words = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(m => m[1] ?? m[2] ?? m[3]!);

/** The command lines of ertacache in a block of shell, word by word, without its name. */
export function commandLines(shell: string): string[][] {
  return shell
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map(line => /^(?:npx )?ertacache (.*)$/.exec(line.replace(/\s+(#.*|&)$/, '').trim())?.[1])
    .flatMap(line => (line === undefined ? [] : [words(line)]));
}

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
