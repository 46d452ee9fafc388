import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadParts } from '../../src/browser/load/load-model';
import { draw } from '../../src/draw/draw';
import { selectBackend } from '../../src/engine/select';
import { InterruptedError } from '../../src/errors';
import { type FileServer, serveFiles } from '../io/http-server';

const folder = join(__dirname, '../fixtures/pipelines/flux-tiny/pipeline');

let server: FileServer;
beforeAll(async () => {
  await selectBackend('wasm');
  server = await serveFiles();
  for (const path of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!path.isFile()) continue;
    const file = join(path.parentPath, path.name);
    server.files.set(`flux-tiny/${file.slice(folder.length + 1)}`, { bytes: readFileSync(file) });
  }
});
afterAll(() => server.close());

test.each([{}, { offload: true }])(
  'the signal of loading stops nothing that is read later, and that of a picture does: %j',
  async how => {
    const loading = new AbortController();
    let drawing = new AbortController();
    const options = { ...how, storage: false, signal: loading.signal, later: () => drawing.signal };
    const { pipeline } = await loadParts(`${server.address}/flux-tiny`, options);
    loading.abort();
    const request = { prompt: 'a fox', steps: 2, size: { width: 32, height: 32 } };
    drawing.abort('enough');
    // The sampling loop is not told of it: it is the download that ends.
    await expect(draw(request, { model: pipeline })).rejects.toThrow(InterruptedError);
    drawing = new AbortController();
    expect((await draw(request, { model: pipeline })).schedule).toBe('##');
    pipeline.dispose();
  },
);

test('the signal of loading stops it', async () => {
  const signal = AbortSignal.abort('enough');
  await expect(loadParts(`${server.address}/flux-tiny`, { storage: false, signal })).rejects.toThrow(InterruptedError);
});
