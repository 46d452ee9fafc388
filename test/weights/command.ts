import { run } from '../../src/cli/program';

/** Runs a command line in this process. @returns what it wrote, and its exit code */
export async function command(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const spies = [
    jest.spyOn(console, 'log').mockImplementation(line => void stdout.push(`${line}\n`)),
    jest.spyOn(process.stderr, 'write').mockImplementation(text => stderr.push(String(text)) > 0),
  ];
  try {
    const code = await run(['node', 'ertacache', ...args]);
    return { code, stdout: stdout.join(''), stderr: stderr.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
