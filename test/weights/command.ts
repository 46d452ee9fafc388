import { run } from '../../src/cli/program';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process. @returns what it wrote, and its exit code */
export const command = (...args: string[]): Promise<Outcome> => commandOf(run, args);

/** The same with a program of the caller's own. */
export async function commandOf(program: typeof run, args: readonly string[]): Promise<Outcome> {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const spies = [
    jest.spyOn(console, 'log').mockImplementation(line => void stdout.push(`${line}\n`)),
    jest.spyOn(process.stderr, 'write').mockImplementation(text => stderr.push(String(text)) > 0),
  ];
  try {
    const code = await program(['node', 'ertacache', ...args]);
    return { code, stdout: stdout.join(''), stderr: stderr.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
