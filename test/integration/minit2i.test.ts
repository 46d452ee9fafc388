import { existsSync, readFileSync } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { join, resolve } from 'node:path';
import type { Comparison } from '../../src/lab/compare/comparison';
import { scratchFolder } from '../media/pictures';
import { usableBackends } from '../support/backends';
import { command } from '../weights/command';
import { startFolderHub } from '../weights/folder-hub';

const hub = resolve(__dirname, '../fixtures/pipelines/minit2i-tiny/hub');
const scratch = scratchFolder();
const backend = usableBackends().includes('native') ? 'native' : 'wasm';
const run = (...args: string[]) => command('--backend', backend, ...args);
jest.setTimeout(600_000);

let server: Server | undefined;
const { HF_ENDPOINT: endpoint } = process.env;
afterEach(() => {
  server?.close();
  process.env.HF_ENDPOINT = endpoint ?? '';
});

async function serve(root: string): Promise<string[]> {
  const started = await startFolderHub(root);
  server = started.server;
  process.env.HF_ENDPOINT = started.endpoint;
  return started.asked;
}

test('MiniT2I as it is published: from its two repositories to a cached picture, a comparison and a graph', async () => {
  const asked = await serve(hub);
  const model = scratch.path('MiniT2I');
  const brought = await command('download', 'MiniT2I/MiniT2I', '--out', model);
  expect(brought).toMatchObject({ code: 0 });
  expect(brought.stdout).toContain('the text encoder is that of google/flan-t5-large');
  expect(existsSync(join(model, 'google/flan-t5-large/spiece.model'))).toBe(true);
  const files = asked.length;
  expect(await command('download', 'MiniT2I/MiniT2I', '--out', model)).toMatchObject({ code: 0 });
  // Again only the configuration that names the other repository is asked for.
  expect(asked.slice(files)).toEqual(['MiniT2I/MiniT2I/minit2i-b-16/transformer/config.json']);

  const info = await command('info', model);
  expect(info.stdout).toContain('transformer: MiniT2IMMJiTModel');
  // The decoder, half of the file, is not counted.
  expect(info.stdout).toContain('text_encoder: T5ForConditionalGeneration\n  21 tensors, 30,880 parameters');

  const sample = (...args: string[]) => run('sample', 'a red fox', '--model', model, '--steps', '8', ...args);
  const [whole, preview] = [scratch.path('whole.png'), scratch.path('preview.png')];
  expect(await sample('--policy', 'none', '--preview', preview, '--out', whole)).toMatchObject({ code: 0 });
  expect(existsSync(preview)).toBe(true);

  const [prompts, policy] = [scratch.path('prompts.txt'), scratch.path('policy.json')];
  await writeFile(prompts, 'a red fox\na bowl of fruit\n');
  const budget = ['--pairs', '2', '--held-out', '0', '--bound-pairs', '0', '--steps', '8', '--out', policy];
  expect(await run('calibrate', '--model', model, '--prompts', prompts, ...budget)).toMatchObject({ code: 0 });
  const cached = await sample('--policy', policy, '--out', scratch.path('cached.png'));
  expect(cached).toMatchObject({ code: 0, stdout: expect.stringContaining('4 of 8 forwards') });

  const compared = scratch.path('compared');
  const pairs = ['--pairs', '2', '--calibration-pairs', '2', '--steps', '6', '--budgets', '3', '--timed-pairs', '0'];
  const methods = ['--methods', 'fewer-steps,teacache,fbcache,magcache,taylorseer,ertacache'];
  const all = ['--model', model, '--prompts', prompts, ...pairs, ...methods, '--out', compared];
  expect(await run('compare', ...all)).toMatchObject({ code: 0 });
  const comparison = JSON.parse(readFileSync(join(compared, 'comparison.json'), 'utf8')) as Comparison;
  expect(comparison.cells.map(cell => cell.pairs.length)).toEqual([2, 2, 2, 2, 2, 2]);

  for (const [name, args] of Object.entries({ convert: [], export: ['--dtype', 'float32'] })) {
    const out = scratch.path(name);
    expect(await run(name, model, out, ...args)).toMatchObject({ code: 0 });
    expect((await command('info', out)).stdout).toContain('MiniT2IMMJiTModel');
  }
  const again = scratch.path('again.png');
  const converted = ['--model', scratch.path('convert'), '--steps', '8', '--policy', 'none', '--out', again];
  expect(await run('sample', 'a red fox', ...converted)).toMatchObject({ code: 0 });
});

test('of a repository of two models one is named', async () => {
  const root = scratch.path('hub');
  await cp(hub, root, { recursive: true });
  const two = join(root, 'MiniT2I/MiniT2I');
  await cp(join(two, 'minit2i-b-16'), join(two, 'minit2i-l-16'), { recursive: true });
  const asked = await serve(root);
  const out = scratch.path('model');
  const refused = await command('download', 'MiniT2I/MiniT2I', '--out', out);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('MiniT2I/MiniT2I holds minit2i-b-16 and minit2i-l-16.');
  const wrong = await command('download', 'MiniT2I/MiniT2I', '--subfolder', 'minit2i-xl', '--out', out);
  expect(wrong.stderr).toContain('MiniT2I/MiniT2I holds no minit2i-xl.');
  expect(asked).toEqual([]);
  const taken = await command('download', 'MiniT2I/MiniT2I', '--subfolder', 'minit2i-l-16', '--out', out);
  expect(taken).toMatchObject({ code: 0 });
  expect(existsSync(join(out, 'minit2i-l-16/transformer/config.json'))).toBe(true);
  expect(existsSync(join(out, 'minit2i-b-16'))).toBe(false);
});
