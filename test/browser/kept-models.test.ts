import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { modelFolder } from '../../src/browser/load/model-folder';
import type { Storage } from '../../src/browser/load/storage';
import { packageRoot } from '../../src/io/package-root';
import { sha256 } from '../../src/io/sha256';
import { type FileServer, serveFiles } from '../io/http-server';

let server: FileServer;
beforeAll(async () => {
  server = await serveFiles();
});
afterAll(() => server.close());

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Puts a model without weights on the server: files by their names. */
function publish(name: string, files: Readonly<Record<string, string>>): void {
  const known = JSON.parse(readFileSync(join(packageRoot(), 'converted-models/fluent-emoji/model.json'), 'utf8')) as {
    userDefinedMetadata: { ertacache: object };
  };
  const list = Object.entries(files).map(([path, text]) => ({
    path,
    bytes: bytesOf(text).length,
    sha256: sha256(bytesOf(text)),
  }));
  const ertacache = { ...known.userDefinedMetadata.ertacache, shards: [], files: list };
  const manifest = { weightsManifest: [{ paths: [], weights: [] }], userDefinedMetadata: { ertacache } };
  server.files.set(`${name}/model.json`, { bytes: bytesOf(JSON.stringify(manifest)), type: 'application/json' });
  for (const [path, text] of Object.entries(files)) server.files.set(`${name}/${path}`, { bytes: bytesOf(text) });
}

test('of a model that has changed the former files go, but for those that another model has', async () => {
  const kept = new Map<string, Blob>();
  const storage: Storage = {
    get: async key => kept.get(key),
    put: async (key, content) => void kept.set(key, content),
    remove: async key => void kept.delete(key),
    keys: async () => [...kept.keys()],
  };
  const visit = async (name: string): Promise<void> => {
    const folder = await modelFolder(`${server.address}/${name}`, { storage, signal: () => undefined });
    await folder.keep();
  };
  const contents = async (): Promise<string[]> => {
    const files = [...kept].filter(([key]) => key.includes('/sha256/'));
    return (await Promise.all(files.map(([, blob]) => blob.text()))).sort();
  };
  publish('one', { a: 'shared', b: 'of one', c: 'of both versions' });
  publish('two', { a: 'shared' });
  await visit('one');
  await visit('two');
  expect(await contents()).toEqual(['of both versions', 'of one', 'shared']);
  await visit('one');
  expect(await contents()).toEqual(['of both versions', 'of one', 'shared']);
  publish('one', { b: 'of one, later', c: 'of both versions' });
  await visit('one');
  expect(await contents()).toEqual(['of both versions', 'of one, later', 'shared']);
});
