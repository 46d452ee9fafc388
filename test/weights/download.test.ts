import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { download, planDownload } from '../../src/weights/download/download';
import { partialPath } from '../../src/weights/download/fetch-file';
import { type HubFile, hubSettings } from '../../src/weights/download/repository';
import { startFolderHub } from './folder-hub';
import { bytes, COMMIT, contents, type Hub, LARGE, REPOSITORY, startHub, WANTED } from './hub';

describe('download', () => {
  let hub: Hub;
  let server: Server;
  let folder: string;

  beforeEach(async () => {
    ({ hub, server } = await startHub());
    folder = mkdtempSync(join(tmpdir(), 'download-'));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  const options = (more: object = {}) => ({ endpoint: hub.endpoint, pauseMs: 1, ...more });
  const plan = () => planDownload(REPOSITORY, 'main', options());
  const at = (path: string): string => join(folder, path);
  /** Where the large file lies while it is on its way. */
  const partial = async () => partialPath(at(LARGE), (await plan()).files.find(file => file.path === LARGE) as HubFile);

  test('a file of the user’s is not replaced, nor is a spoilt copy of what was brought', async () => {
    writeFileSync(at('README.md'), 'mine');
    await expect(download(await plan(), folder, options())).rejects.toThrow(
      `${at('README.md')} is already there and is not the file of the repository.`,
    );
    expect(hub.asked).toEqual([]);
    expect(readdirSync(folder)).toEqual(['README.md']);
    expect(readFileSync(at('README.md'), 'utf8')).toBe('mine');
    rmSync(at('README.md'));
    await download(await plan(), folder, options());
    writeFileSync(at('model_index.json'), '{"edited":1}');
    await expect(download(await plan(), folder, options())).rejects.toThrow('model_index.json is already there');
  });

  test('a second download into the folder is refused while the first runs', async () => {
    const [one, two] = [await plan(), await plan()];
    const both = await Promise.allSettled([download(one, folder, options()), download(two, folder, options())]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: {
        message: expect.stringContaining(`${folder} is in use by another run of ertacache: process ${process.pid} on `),
      },
    });
    await download(await plan(), folder, options());
  });

  test('takes what a model is loaded from, and says how much before it starts', async () => {
    const { files, commit, bytes: total } = await plan();
    expect(files.map(f => f.path).sort()).toEqual([...WANTED].sort());
    expect(commit).toBe(COMMIT);
    expect(total).toBe(WANTED.reduce((sum, path) => sum + contents[path]!.length, 0));
    expect(hub.asked).toEqual([]);
  });

  test('brings every file whole, though connections are cut at random bytes', async () => {
    hub.cuts = 6;
    let got = 0;
    const wanted = await plan();
    await download(wanted, folder, options({ attempts: 20, onBytes: (n: number) => (got += n) }));
    for (const path of WANTED) expect(readFileSync(at(path)).equals(contents[path]!)).toBe(true);
    expect(hub.cuts).toBe(0);
    expect(got).toBe(wanted.bytes);
    expect(hub.asked.filter(a => a.startsWith(LARGE)).length).toBe(7);
  });

  test('goes on where a former run ended, and leaves finished files alone', async () => {
    hub.cuts = 1;
    await expect(download(await plan(), folder, options({ attempts: 0 }))).rejects.toThrow(`${LARGE} stopped at`);
    expect(existsSync(at(LARGE))).toBe(false);
    const had = readFileSync(await partial()).length;
    hub.asked.length = 0;
    await download(await plan(), folder, options());
    // The cut may have come before the first byte: then there is nothing to go on from.
    expect(hub.asked).toEqual([`${LARGE} ${had === 0 ? 'all' : had}`]);
    expect(readFileSync(at(LARGE)).equals(contents[LARGE]!)).toBe(true);
    expect(existsSync(await partial())).toBe(false);
  });

  test('starts a file again where the server knows no ranges', async () => {
    hub.cuts = 2;
    hub.ranges = false;
    await download(await plan(), folder, options());
    expect(readFileSync(at(LARGE)).equals(contents[LARGE]!)).toBe(true);
  });

  test('what is left and spoilt is thrown away, not completed', async () => {
    await download(await plan(), folder, options());
    rmSync(at(LARGE));
    writeFileSync(await partial(), bytes(500, 99));
    await download(await plan(), folder, options());
    expect(readFileSync(at(LARGE)).equals(contents[LARGE]!)).toBe(true);
  });

  test('a wrong checksum is refused and leaves nothing', async () => {
    hub.spoil = true;
    await expect(download(await plan(), folder, options())).rejects.toThrow('wrong checksum');
    for (const path of ['README.md', 'model_index.json', LARGE]) {
      expect(existsSync(at(path))).toBe(false);
    }
    expect(existsSync(await partial())).toBe(false);
  });

  const full = '/dev/full';
  (existsSync(full) ? test : test.skip)('a full disk leaves no half file under the name', async () => {
    const wanted = await plan();
    const large = wanted.files.filter(f => f.path === LARGE);
    await download({ ...wanted, files: wanted.files.filter(f => f.path !== LARGE) }, folder, options());
    symlinkSync(full, await partial());
    await expect(download({ ...wanted, files: large }, folder, options())).rejects.toThrow('disk is full');
    expect(existsSync(at(LARGE))).toBe(false);
  });

  test('says what cannot be had', async () => {
    await expect(planDownload('owner/other', 'main', options())).rejects.toThrow('answered with 404');
    await expect(planDownload('no name', 'main', options())).rejects.toThrow('not the name of a repository');
    const gone = planDownload(REPOSITORY, 'main', { endpoint: 'http://127.0.0.1:9' });
    await expect(gone).rejects.toThrow('cannot be reached');
  });

  test.each([
    ['a web page', 'text/html; charset=utf-8', '<!doctype html><p>Sign in', 'a web page'],
    ['no JSON', 'application/json', '<p>Sign in', 'something that is not JSON'],
    ['another form', 'application/json', '{"error":"no"}', "JSON of another form than the hub's"],
    ['a list', 'application/json', '[1]', "JSON of another form than the hub's"],
    ['a commit that is a path', 'application/json', '{"sha":"../.."}', "JSON of another form than the hub's"],
  ])('a hub that answers with %s is told for it', async (_, type, body, what) => {
    hub.instead = { type, body, when: /./ };
    await expect(plan()).rejects.toMatchObject({
      code: 'io',
      message: `${new URL(hub.endpoint).host} answered with ${what}.`,
    });
    hub.instead = { ...hub.instead, when: /\/tree\// };
    if (what !== "JSON of another form than the hub's" || body === '[1]') {
      await expect(plan()).rejects.toThrow(`answered with ${what}.`);
    }
  });

  test.each([
    ['a web page in place of', 'text/html', 'Sign in'],
    ['came with 7 bytes, and', 'text/plain', 'Sign in'],
  ])('a file that is answered with something else is not taken: %s', async (what, type, body) => {
    const wanted = await plan();
    hub.instead = { type, body, when: /\/resolve\/.*weights/ };
    await expect(download(wanted, folder, options())).rejects.toThrow(what);
    expect(existsSync(at(LARGE))).toBe(false);
    expect(hub.asked.filter(asked => asked.startsWith(LARGE))).toEqual([]);
  });

  test('nothing beyond the listed size is written', async () => {
    const wanted = await plan();
    hub.endless = true;
    await expect(download(wanted, folder, options())).rejects.toThrow(/came with more than \d+ bytes/);
    for (const path of WANTED) expect(existsSync(at(path))).toBe(false);
  });

  test('a list that goes on on another server is refused', async () => {
    hub.elsewhere = true;
    await expect(plan()).rejects.toThrow('a list that goes on on another server');
  });

  test.each(['127.0.0.1:9401', 'localhost:9401', 'hub', 'ftp://hub'])(
    'the endpoint %s is no address',
    async endpoint => {
      await expect(planDownload(REPOSITORY, 'main', { endpoint })).rejects.toMatchObject({
        code: 'usage',
        message: `HF_ENDPOINT is "${endpoint}", which is no address of a server.`,
        hint: expect.stringContaining('http://'),
      });
    },
  );

  test('a revision with slashes is one name, as the hub’s own client sends it', async () => {
    await expect(planDownload(REPOSITORY, 'refs/pr/1', options())).rejects.toThrow(
      `/api/models/${REPOSITORY}/revision/refs%2Fpr%2F1 was answered with 404`,
    );
  });

  test('stops when asked', async () => {
    const wanted = await plan();
    const stopped = download(wanted, folder, options({ signal: AbortSignal.abort() }));
    await expect(stopped).rejects.toThrow('aborted');
  });

  test('mirror and token come from the settings that the hub’s tools share', async () => {
    expect(await hubSettings({ HF_ENDPOINT: 'http://mirror', HF_TOKEN: 't' })).toEqual({
      endpoint: 'http://mirror',
      token: 't',
    });
    expect(await hubSettings({ HF_HOME: '/nowhere' })).toEqual({});
  });
});

describe('another download into the same folder', () => {
  const WEIGHTS = 'diffusion_pytorch_model';
  const SHARDS = [1, 2].map(i => `${WEIGHTS}-0000${i}-of-00002.safetensors`);
  let root: string;
  let folder: string;
  let hub: Awaited<ReturnType<typeof startFolderHub>>;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'hub-'));
    folder = mkdtempSync(join(tmpdir(), 'download-'));
    hub = await startFolderHub(root);
  });
  afterEach(() => {
    hub.server.closeAllConnections();
    hub.server.close();
    rmSync(root, { recursive: true });
    rmSync(folder, { recursive: true });
  });

  /** A repository whose transformer has these files. */
  function publish(name: string, files: readonly string[]): void {
    rmSync(join(root, name), { recursive: true, force: true });
    mkdirSync(join(root, name, 'transformer'), { recursive: true });
    writeFileSync(join(root, name, 'model_index.json'), '{}');
    for (const file of ['config.json', ...files]) writeFileSync(join(root, name, 'transformer', file), `of ${file}`);
  }
  const bring = async (name: string, variant?: string): Promise<void> =>
    download(await planDownload(name, 'main', { endpoint: hub.endpoint, variant }), folder, { endpoint: hub.endpoint });
  const weights = (): string[] =>
    readdirSync(join(folder, 'transformer'))
      .filter(name => name !== 'config.json')
      .sort();

  test.each([
    ['shards that became one file', [...SHARDS, `${WEIGHTS}.safetensors.index.json`], [`${WEIGHTS}.safetensors`]],
    ['one file that became shards', [`${WEIGHTS}.safetensors`], [...SHARDS, `${WEIGHTS}.safetensors.index.json`]],
  ])('removes what the new revision is without: %s', async (_, before, after) => {
    publish('a/model', before);
    await bring('a/model');
    expect(weights()).toEqual([...before].sort());
    writeFileSync(join(folder, 'transformer/mine.safetensors'), 'mine');
    publish('a/model', after);
    const told = jest.spyOn(console, 'warn').mockImplementation(() => {});
    await bring('a/model');
    expect(told.mock.calls.flat().join()).toMatch(/^\S+ was removed: an earlier download brought it/);
    expect(told).toHaveBeenCalledTimes(before.length);
    told.mockRestore();
    expect(weights()).toEqual([...after, 'mine.safetensors'].sort());
  });

  test('leaves what was changed since, and weights that the revision has but were not asked for', async () => {
    publish('a/model', [`${WEIGHTS}.safetensors`, `${WEIGHTS}.fp16.safetensors`]);
    await bring('a/model', 'fp16');
    await bring('a/model');
    expect(weights()).toEqual([`${WEIGHTS}.fp16.safetensors`, `${WEIGHTS}.safetensors`]);
    renameSync(join(root, 'a/model/transformer', `${WEIGHTS}.fp16.safetensors`), join(root, 'gone'));
    appendFileSync(join(folder, 'transformer', `${WEIGHTS}.fp16.safetensors`), 'mine');
    await bring('a/model');
    expect(weights()).toEqual([`${WEIGHTS}.fp16.safetensors`, `${WEIGHTS}.safetensors`]);
  });

  test('of another repository is refused before anything is fetched', async () => {
    publish('a/model', [`${WEIGHTS}.safetensors`]);
    publish('b/model', [...SHARDS, `${WEIGHTS}.safetensors.index.json`]);
    await bring('a/model');
    hub.asked.length = 0;
    await expect(bring('b/model')).rejects.toMatchObject({
      code: 'usage',
      message: `${folder} holds what was downloaded of a/model.`,
      hint: expect.stringContaining('--out'),
    });
    expect(hub.asked).toEqual([]);
    expect(weights()).toEqual([`${WEIGHTS}.safetensors`]);
  });

  test('a record that names files outside its folder is none', async () => {
    publish('a/model', [`${WEIGHTS}.safetensors`]);
    await bring('a/model');
    const path = join(folder, '.ertacache-download.json');
    const record = JSON.parse(readFileSync(path, 'utf8')) as { files: Record<string, unknown> };
    record.files['../other.json'] = record.files['model_index.json'];
    writeFileSync(path, JSON.stringify(record));
    await expect(bring('a/model')).rejects.toThrow('is not the record of a download');
  });
});
