import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/cli/program';
import { packageRoot } from '../../src/io/package-root';
import { VERSION } from '../../src/version';
import { command } from '../weights/command';

/** Runs a command line; commander prints help and version on stdout. */
async function printed(...args: string[]): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const spies = (['stdout', 'stderr'] as const).map(stream =>
    jest.spyOn(process[stream], 'write').mockImplementation(text => lines.push(String(text)) > 0),
  );
  try {
    return { code: await run(['node', 'ertacache', ...args]), text: lines.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

describe('the command line', () => {
  test('prints its version and its commands', async () => {
    expect(await printed('--version')).toEqual({ code: 0, text: `${VERSION}\n` });
    const { code, text } = await printed('--help');
    expect(code).toBe(0);
    for (const name of ['sample', 'calibrate', 'demo', 'verify', 'inspect', 'doctor', 'convert', 'info']) {
      expect(text).toContain(`\n  ${name} `);
    }
  });

  test('tells what a model is that ships with it, by its name', async () => {
    const { code, stdout } = await command('info', 'fluent-emoji');
    expect(code).toBe(0);
    expect(stdout).toContain('FluxTransformer2DModel');
  });

  test.each(['sample', 'calibrate', 'demo', 'verify', 'inspect'])('explains %s', async name => {
    const { code, text } = await printed(name, '--help');
    expect(code).toBe(0);
    expect(text).toContain(`Usage: ertacache ${name}`);
  });

  test.each([
    [['paint'], "unknown command 'paint'"],
    [['sample', 'lion', '--stpes', '3'], "unknown option '--stpes'"],
    [['--backend', 'abacus', 'sample', 'lion'], "argument 'abacus' is invalid"],
    [['verify'], "missing required argument 'path'"],
    [['inspect'], "missing required argument 'file'"],
  ])('refuses %j with 2', async (args, message) => {
    const { code, text } = await printed(...args);
    expect(code).toBe(2);
    expect(text).toContain(message);
  });

  test('shows a stack only under --verbose', async () => {
    const missing = ['inspect', 'no-such-file.png'];
    const [plain, verbose] = [await command(...missing), await command('--verbose', ...missing)];
    expect([plain.code, verbose.code]).toEqual([1, 1]);
    expect(plain.stderr).toBe('ertacache: There is no file no-such-file.png.\n');
    expect(verbose.stderr).toContain('ertacache: There is no file no-such-file.png.\n');
    expect(verbose.stderr).toMatch(/\n +at /);
  });

  test('does not hand the exit code of one command line to the next, or to the process', async () => {
    const before = process.exitCode;
    expect((await command('inspect', 'no-such-file.png')).code).toBe(1);
    expect((await printed('--version')).code).toBe(0);
    expect(process.exitCode).toBe(before);
  });

  test('finds its package from wherever it is called', () => {
    expect(packageRoot()).toBe(process.cwd());
    const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
    expect(VERSION).toBe(version);
  });
});
