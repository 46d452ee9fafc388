import { spawn } from 'node:child_process';

/** How a child process ended. `missing` is true when there is no such program. */
export interface RunResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  missing: boolean;
}

/** Runs a program to its end, without a shell; never throws. */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; timeout?: number } = {},
): Promise<RunResult> {
  const { timeout, ...rest } = options;
  return new Promise(resolve => {
    const child = spawn(program, args, { ...rest, stdio: ['ignore', 'pipe', 'pipe'] });
    // Node's own timeout keeps the process alive when the program could not be started at all.
    const timer = timeout === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), timeout);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const end = (code: number | null, signal: NodeJS.Signals | null, missing: boolean) => {
      clearTimeout(timer);
      resolve({ code, signal, missing, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    };
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', error => end(null, null, (error as NodeJS.ErrnoException).code === 'ENOENT'));
    child.on('close', (code, signal) => end(code, signal, false));
  });
}

/** The last lines of a program's output that say something. */
export function lastLines(text: string, count: number): string {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(-count)
    .join('\n');
}
