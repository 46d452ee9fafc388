/** Models in the hub's layout over HTTP: a tiny FLUX and a tiny Wan, and what their receipts are good for. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Receipt } from '../../src/draw/receipt';
import { readMedia } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { shippedModelNames } from '../../src/pipelines/load';
import { readCatalog } from '../../src/server/catalog';
import { scratchFolder } from '../media/pictures';
import { usableBackends } from '../support/backends';
import { command } from '../weights/command';
import { type Running, start } from './running';

jest.setTimeout(240_000);

const scratch = scratchFolder();
const folder = (name: string): string => join(__dirname, '../fixtures/pipelines', name, 'pipeline');
const PROMPT = 'a cat and a hat';

let running: Running;
beforeAll(async () => {
  running = await start({ models: [`tiny-flux=${folder('flux-tiny')}`, `tiny-wan=${folder('wan-tiny')}`] });
});
afterAll(() => running?.end());

interface Answer {
  readonly id: string;
  readonly status: string;
  readonly url: string;
  readonly size: string;
  readonly data: readonly { readonly b64_json: string; readonly size: string; readonly seed: number }[];
}

test('pictures of a size, whose receipts the command line repeats where the model is', async () => {
  const asked = { model: 'tiny-flux', prompt: PROMPT, seed: 1, n: 2, steps: 2, size: '32x32' };
  const answer = await running.post('/v1/images/generations', asked);
  const { data } = (await answer.json()) as Answer;
  expect(data).toMatchObject([
    { size: '32x32', seed: 1 },
    { size: '32x32', seed: 2 },
  ]);
  const [first, second, again] = ['first', 'second', 'again'].map(name => scratch.path(`${name}.png`)) as [
    string,
    string,
    string,
  ];
  writeFileSync(first, Buffer.from(data[0]!.b64_json, 'base64'));
  writeFileSync(second, Buffer.from(data[1]!.b64_json, 'base64'));
  const { model } = (await readReceipt(second)) as Receipt;
  // What the server calls it says nothing elsewhere, and where it lies is nobody's business.
  expect(model).toMatchObject({ path: 'pipeline' });
  const backend = usableBackends()[0]!;
  const repeat = ['--backend', backend, '--threads', '1', 'sample', '--from', second, '--out', again];
  expect((await command(...repeat)).code).not.toBe(0);
  expect(await command(...repeat, '--model', folder('flux-tiny'))).toMatchObject({ code: 0 });
  expect((await readMedia(again)).pixels).toEqual((await readMedia(second)).pixels);
  const wrong = await running.post('/v1/images/generations', { ...asked, size: '33x32' });
  expect([wrong.status, ((await wrong.json()) as { error: object }).error]).toEqual([
    400,
    expect.objectContaining({ code: 'shape' }),
  ]);
});

test('models of the hub cache are called by their repository, and by its name in requests', async () => {
  const home = scratch.path('hub');
  const snapshots = join(home, 'models--owner--tiny', 'snapshots');
  mkdirSync(snapshots, { recursive: true });
  symlinkSync(folder('flux-tiny'), join(snapshots, '0123abcd'));
  const before = process.env.HF_HUB_CACHE;
  process.env.HF_HUB_CACHE = home;
  try {
    const { models } = await readCatalog(['owner/tiny', `mine=${folder('flux-tiny')}`]);
    expect(models.map(({ id, publicName }) => [id, publicName])).toEqual([
      ['tiny', 'owner/tiny'],
      ['mine', 'pipeline'],
      ...shippedModelNames().map(id => [id, id]),
    ]);
  } finally {
    if (before === undefined) delete process.env.HF_HUB_CACHE;
    else process.env.HF_HUB_CACHE = before;
  }
});

test('a clip from creation to content', async () => {
  const asked = { model: 'tiny-wan', prompt: PROMPT, seed: 1, steps: 2, output_format: 'webp' };
  const made = (await (await running.post('/v1/videos', asked)).json()) as Answer;
  for (;;) {
    const now = (await (await running.get(`/v1/videos/${made.id}`)).json()) as Answer;
    if (now.status === 'completed') break;
    expect(['queued', 'in_progress']).toContain(now.status);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  const content = await running.get(`/v1/videos/${made.id}/content`);
  const file = scratch.path('clip.webp');
  writeFileSync(file, Buffer.from(await content.arrayBuffer()));
  const { pixels, fps } = await readMedia(file);
  expect(pixels.shape).toHaveLength(4);
  expect(fps).toBeGreaterThan(0);
});
