/** What the page on the server says, done: its commands, its two clients, its unit. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';
import { project, requireBuilt, runNode } from '../library/built-package';
import { scratchFolder } from '../media/pictures';
import { usableBackends } from '../support/backends';
import { commandLineFault, commandLines } from './command-line';
import { snippets } from './pages';

jest.setTimeout(240_000);

const scratch = scratchFolder();
const root = packageRoot();
const blocks = snippets().filter(({ name }) => name.startsWith('serve-'));

let child: ChildProcess;
let url = '';

beforeAll(requireBuilt);

/** Starts the built command as the page does, on a port that is free. */
async function serve(): Promise<void> {
  const args = ['--backend', usableBackends()[0]!, 'serve', '--port', '0', '--data', scratch.path('data')];
  child = spawn(process.execPath, [join(root, 'dist/cli.mjs'), ...args, '--log-level', 'error']);
  let said = '';
  let listens: string | undefined;
  child.stderr!.on('data', text => {
    said += text;
    listens = /listening on (\S+)/.exec(said)?.[1];
  });
  while (listens === undefined) {
    if (child.exitCode !== null) throw new Error(said);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  url = listens;
}

beforeEach(serve);
afterEach(async () => {
  child.kill('SIGTERM');
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
  expect(code).toBe(0);
});

const here = (text: string): string => text.replaceAll('http://127.0.0.1:8080', url);

test('its commands of curl are answered', async () => {
  const shell = blocks.filter(({ note }) => note === 'run');
  expect(shell.length).toBeGreaterThan(3);
  for (const { text } of shell) {
    const { code, stdout, stderr } = await run('sh', ['-euc', here(text)], { cwd: scratch.path() });
    expect([text, code, stderr]).toEqual([text, 0, '']);
    for (const word of ['[DONE]', '"b64_json"']) if (text.includes('"stream"')) expect(stdout).toContain(word);
  }
  const { stdout } = await run('sh', ['-c', 'head -c 12 red-heart.mp4'], { cwd: scratch.path() });
  expect(stdout).toContain('ftyp');
});

test('its programs run with the clients as they are', async () => {
  const programs = blocks.filter(({ note }) => note === 'client');
  expect(programs).toHaveLength(2);
  project(scratch.path(), Object.fromEntries(programs.map(({ name, text }) => [`${name}.mjs`, here(text)])));
  for (const name of ['openai', '@ai-sdk', 'zod']) {
    symlinkSync(join(root, 'node_modules', name), scratch.path('node_modules', name), 'dir');
  }
  const [official, sdk] = programs;
  const said = await runNode(scratch.path(), `${official!.name}.mjs`);
  expect(said).toMatch(/^[#.]{30} \d+\n(image_generation\.partial_image\n){2}image_generation\.completed\n$/);
  expect(await runNode(scratch.path(), `${sdk!.name}.mjs`)).toBe('2\n');
});

test('new work is refused with 503 while what runs comes to its end', async () => {
  const post = (body: object): Promise<Response> =>
    fetch(`${url}/v1/images/generations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  while ((await fetch(`${url}/readyz`)).status !== 200) await wait(50);
  const running = post({ prompt: 'red heart', steps: 90, policy: 'none' });
  const begun = async (): Promise<boolean> =>
    /^ertacache_running 1$/m.test(await (await fetch(`${url}/metrics`)).text());
  while (!(await begun())) await wait(25);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await wait(100);
  const [late, ready] = [await post({ prompt: 'lion' }), await fetch(`${url}/readyz`)];
  expect([late.status, ready.status]).toEqual([503, 503]);
  expect((await running).status).toBe(200);
  expect(await ended).toEqual([0, null]);
});

test('its unit starts a command that there is', async () => {
  const unit = blocks.find(({ language }) => language === 'ini')!;
  const [line] = commandLines(/^ExecStart=\/usr\/local\/bin\/(.*)$/m.exec(unit.text)![1]!);
  expect(await commandLineFault(line!)).toBeUndefined();
});
