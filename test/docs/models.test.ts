/** The commands of the page on models, each run as it stands, on small models under the names that the page uses. */
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { join, resolve } from 'node:path';
import { scratchFolder } from '../media/pictures';
import { ggufOf } from '../pipelines/gguf-of';
import { schnell } from '../pipelines/schnell';
import { usableBackends } from '../support/backends';
import { command } from '../weights/command';
import { startFolderHub } from '../weights/folder-hub';
import { COMMIT } from '../weights/hub';
import { writeRankOne } from '../weights/rank-one';
import { commandLines } from './command-line';
import { snippets } from './pages';

jest.setTimeout(900_000);

const pipelines = resolve(__dirname, '../fixtures/pipelines');
const flux = join(pipelines, 'flux-tiny/pipeline');
const chroma = join(pipelines, 'chroma-tiny/pipeline');
const WEIGHTS = 'transformer/diffusion_pytorch_model.safetensors';
const backend = usableBackends().includes('native') ? 'native' : 'wasm';
const scratch = scratchFolder();
const lines = snippets()
  .filter(({ name, language }) => name.startsWith('models-') && language === 'sh')
  .flatMap(({ text }) => commandLines(text));

const cwd = process.cwd();
const environment = { ...process.env };
let server: Server | undefined;
afterEach(() => {
  server?.close();
  process.chdir(cwd);
  process.env = { ...environment };
});

/** A pipeline of two transformers, which are alike here. */
function twoExperts(folder: string): void {
  cpSync(join(pipelines, 'wan-tiny/pipeline'), folder, { recursive: true });
  cpSync(join(folder, 'transformer'), join(folder, 'transformer_2'), { recursive: true });
  const index = join(folder, 'model_index.json');
  const second = { transformer_2: ['diffusers', 'WanTransformer3DModel'], boundary_ratio: 0.875 };
  writeFileSync(index, JSON.stringify({ ...JSON.parse(readFileSync(index, 'utf8')), ...second }));
}

/** The hub that the page downloads from, the hub's cache, and the files of transformers that it names. */
async function world(): Promise<void> {
  const hub = scratch.path('hub');
  cpSync(join(pipelines, 'minit2i-tiny/hub'), hub, { recursive: true });
  // The page names one of two transformers.
  const two = join(hub, 'MiniT2I/MiniT2I');
  cpSync(join(two, 'minit2i-b-16'), join(two, 'minit2i-l-16'), { recursive: true });
  cpSync(flux, join(hub, 'black-forest-labs/FLUX.1-dev'), { recursive: true });
  cpSync(chroma, join(hub, 'lodestones/Chroma1-HD'), { recursive: true });
  twoExperts(join(hub, 'Wan-AI/Wan2.2-T2V-A14B-Diffusers'));
  const started = await startFolderHub(hub);
  server = started.server;
  process.env.HF_ENDPOINT = started.endpoint;

  const cached = scratch.path('cache', 'models--black-forest-labs--FLUX.1-dev');
  mkdirSync(join(cached, 'refs'), { recursive: true });
  writeFileSync(join(cached, 'refs/main'), COMMIT);
  cpSync(flux, join(cached, 'snapshots', COMMIT), { recursive: true });
  process.env.HF_HUB_CACHE = scratch.path('cache');

  const work = scratch.path('work');
  mkdirSync(work);
  process.chdir(work);
  writeFileSync('prompts.txt', 'a fox in snow\na bowl of fruit\n');
  for (const name of ['flux1-dev.safetensors', 'flux1-dev-fp8.safetensors']) copyFileSync(join(flux, WEIGHTS), name);
  copyFileSync(join(flux, 'transformer/config.json'), 'config.json');
  for (const name of ['flux1-dev-Q4_0.gguf', 'flux1-dev-Q8_0.gguf']) await ggufOf(flux, name);
  await ggufOf(chroma, 'Chroma1-HD-Q4_0.gguf');
  cpSync(await schnell(), 'FLUX.1-schnell', { recursive: true });
  const wan = JSON.parse(readFileSync(join(pipelines, 'wan-tiny/pipeline/transformer/config.json'), 'utf8'));
  const side = wan.num_attention_heads * wan.attention_head_dim;
  for (const name of ['high.safetensors', 'low.safetensors']) writeRankOne(name, 'blocks.0.attn1.to_q', side, 0.1);
}

test('every one of them does what the page says', async () => {
  expect(lines.length).toBeGreaterThan(11);
  await world();
  for (const line of lines) {
    const { code, stderr } = await command('--backend', backend, ...line);
    expect([line.join(' '), code, code === 0 ? '' : stderr]).toEqual([line.join(' '), 0, '']);
  }
  // The policy of FLUX halves the work, and that of MiniT2I quarters it.
  const computed = (file: string): number =>
    [...JSON.parse(readFileSync(file, 'utf8')).schedule].filter(c => c === '#').length;
  expect([computed('half.json'), computed('quarter.json')]).toEqual([14, 25]);
});
