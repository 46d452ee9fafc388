import {
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { loadModel, locateModel } from '../../src/pipelines/load';
import { modelName } from '../../src/pipelines/model-name';
import { openModelAt } from '../../src/weights/disk';
import { download, planDownload } from '../../src/weights/download/download';
import { proxiedFetch } from '../../src/weights/download/hub-fetch';
import { cachedRepository, hubCache, hubToken } from '../../src/weights/download/hub-home';
import { neededFiles } from '../../src/weights/download/needed';
import { hubSettings } from '../../src/weights/download/repository';
import { scratchFolder } from '../media/pictures';
import { altered } from '../pipelines/altered';
import { command } from './command';
import { contents, type Hub, LARGE, REPOSITORY, startHub } from './hub';

const scratch = scratchFolder();
const COMMIT = 'a'.repeat(40);

/** A repository as `hf download` leaves it: links into a folder of blobs. */
function cached(model: string, commit = COMMIT, refs?: string): string {
  const cache = scratch.path('cache');
  const folder = join(cache, 'models--owner--tiny');
  const snapshot = join(folder, 'snapshots', commit);
  mkdirSync(join(folder, 'blobs'), { recursive: true });
  mkdirSync(join(folder, 'refs'), { recursive: true });
  if (refs !== undefined) writeFileSync(join(folder, 'refs/main'), `${refs}\n`);
  let blobs = 0;
  const link = (from: string, to: string): void => {
    mkdirSync(to, { recursive: true });
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      if (entry.isDirectory()) {
        link(join(from, entry.name), join(to, entry.name));
        continue;
      }
      const blob = join(folder, 'blobs', `${commit.slice(0, 4)}${blobs++}`);
      renameSync(join(from, entry.name), blob);
      symlinkSync(blob, join(to, entry.name));
    }
  };
  link(model, snapshot);
  return cache;
}

describe('the hub’s cache', () => {
  const { HF_HUB_CACHE } = process.env;
  afterEach(() => {
    if (HF_HUB_CACHE === undefined) delete process.env.HF_HUB_CACHE;
    else process.env.HF_HUB_CACHE = HF_HUB_CACHE;
  });

  test('lies where the hub’s tools keep it', () => {
    expect(hubCache({ HF_HUB_CACHE: '/a', HF_HOME: '/b' })).toBe('/a');
    expect(hubCache({ HF_HOME: '/b' })).toBe('/b/hub');
    expect(hubCache({ XDG_CACHE_HOME: '/c' })).toBe('/c/huggingface/hub');
    expect(hubCache({})).toMatch(/\/\.cache\/huggingface\/hub$/);
  });

  test('a repository is drawn with by its name, by its folder, and repeated by its name', async () => {
    process.env.HF_HUB_CACHE = cached(altered('flux-tiny'), COMMIT, COMMIT);
    const snapshot = scratch.path('cache/models--owner--tiny/snapshots', COMMIT);
    expect(locateModel('owner/tiny')).toBe(snapshot);
    expect(locateModel(scratch.path('cache/models--owner--tiny'))).toBe(snapshot);
    expect(modelName(snapshot)).toBe('tiny');
    const run = ['--steps', '1', '--width', '32', '--height', '32', '--backend', 'wasm'];
    const out = scratch.path('a.png');
    const drawn = await command('sample', 'a fox', '--model', 'owner/tiny', ...run, '--out', out);
    expect(drawn).toMatchObject({ code: 0 });
    expect(JSON.parse((await command('inspect', out, '--json')).stdout)).toMatchObject({
      model: { id: 'tiny', path: 'owner/tiny' },
    });
    const again = await command('sample', '--from', out, '--backend', 'wasm', '--out', scratch.path('b.png'));
    expect(again).toMatchObject({ code: 0 });
    expect((await command('info', 'owner/tiny')).stdout).toContain('FluxTransformer2DModel');
  });

  test('the snapshot that main names, or the newest', () => {
    const HF_HUB_CACHE = cached(altered('flux-tiny'), COMMIT, 'b'.repeat(40));
    cached(altered('flux-tiny'), 'c'.repeat(40));
    const snapshots = join(HF_HUB_CACHE, 'models--owner--tiny/snapshots');
    utimesSync(join(snapshots, COMMIT), 1, 1);
    const found = (): string | undefined => cachedRepository('owner/tiny', { HF_HUB_CACHE });
    expect(found()).toBe(join(snapshots, 'c'.repeat(40)));
    writeFileSync(join(HF_HUB_CACHE, 'models--owner--tiny/refs/main'), COMMIT);
    expect(found()).toBe(join(snapshots, COMMIT));
    writeFileSync(join(HF_HUB_CACHE, 'models--owner--tiny/refs/main'), '../../..');
    expect(found()).toBe(join(snapshots, 'c'.repeat(40)));
    expect(cachedRepository('owner/other', { HF_HUB_CACHE })).toBeUndefined();
    expect(cachedRepository('../tiny', { HF_HUB_CACHE })).toBeUndefined();
  });

  test('what is broken in it is passed over, and told where nothing is left', () => {
    const HF_HUB_CACHE = cached(altered('flux-tiny'));
    const folder = join(HF_HUB_CACHE, 'models--owner--tiny');
    const snapshots = join(folder, 'snapshots');
    const found = (): string | undefined => cachedRepository('owner/tiny', { HF_HUB_CACHE });
    const whole = join(snapshots, COMMIT);
    symlinkSync(join(folder, 'gone'), join(snapshots, 'd'.repeat(40)));
    writeFileSync(join(snapshots, '.DS_Store'), '');
    mkdirSync(join(snapshots, 'e'.repeat(40), 'transformer'), { recursive: true });
    writeFileSync(join(snapshots, 'e'.repeat(40), '.DS_Store'), '');
    utimesSync(whole, 1, 1);
    expect(found()).toBe(whole);
    mkdirSync(join(folder, 'refs/main'));
    expect(found()).toBe(whole);
    rmdirSync(join(folder, 'refs/main'));
    writeFileSync(join(folder, 'refs/main'), 'e'.repeat(40));
    expect(found()).toBe(whole);

    const broken = expect.objectContaining({
      code: 'io',
      message: `The hub's cache of owner/tiny is broken: ${snapshots} holds no snapshot with files in it.`,
      hint: 'Download it again.',
    });
    rmSync(whole, { recursive: true });
    expect(found).toThrow(broken);
    rmSync(snapshots, { recursive: true });
    writeFileSync(snapshots, '');
    expect(found).toThrow(broken);
    expect(() => locateModel(folder)).toThrow(broken);
  });

  test('a link whose blob is gone is told as one', async () => {
    cached(altered('flux-tiny'));
    const fluxTiny = altered('flux-tiny');
    const folder = scratch.path('cache/models--owner--tiny');
    const snapshot = join(folder, 'snapshots', COMMIT);
    const weights = 'transformer/diffusion_pytorch_model.safetensors';
    for (const file of [weights, 'transformer/config.json', 'scheduler/scheduler_config.json', 'model_index.json']) {
      rmSync(realpathSync(join(snapshot, file)));
      const broken = {
        code: 'io',
        message: `${join(snapshot, file)} is a link to a file that is not there.`,
        hint: 'Download the repository that it belongs to again.',
      };
      await expect(loadModel(folder)).rejects.toMatchObject(broken);
      await expect(openModelAt(join(snapshot, file))).rejects.toMatchObject(broken);
      writeFileSync(join(snapshot, file), readFileSync(join(fluxTiny, file)));
    }
  });

  test('what is not there is told with the command that brings it', async () => {
    process.env.HF_HUB_CACHE = scratch.path('empty');
    expect(() => locateModel('owner/other')).toThrow(
      `There is no model "owner/other", also not in ${scratch.path('empty')}.`,
    );
    const { code, stderr } = await command('sample', 'a', '--model', 'owner/other', '--backend', 'wasm');
    expect(code).toBe(1);
    expect(stderr).toContain('ertacache download owner/other');
  });
});

describe('the token', () => {
  test('of the environment, or of hf auth login', () => {
    const home = scratch.path('home');
    mkdirSync(home);
    writeFileSync(join(home, 'token'), 'hf_login\n');
    writeFileSync(scratch.path('other'), 'hf_other');
    expect(hubToken({ HF_HOME: home })).toBe('hf_login');
    expect(hubToken({ HF_HOME: home, HF_TOKEN_PATH: scratch.path('other') })).toBe('hf_other');
    expect(hubToken({ HF_HOME: home, HF_TOKEN: 'hf_given' })).toBe('hf_given');
    expect(hubToken({ HF_HOME: home, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' })).toBeUndefined();
    expect(hubToken({ HF_TOKEN: 'hf_given', HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' })).toBeUndefined();
    expect(hubToken({ HF_HOME: scratch.path('nowhere') })).toBeUndefined();
    writeFileSync(scratch.path('other'), 'two\r\nlines');
    expect(() => hubToken({ HF_TOKEN_PATH: scratch.path('other') })).toThrow('holds no access token');
  });
});

describe('a proxy', () => {
  let hub: Hub;
  let server: Server;
  let proxy: Server;
  let asked: string[];

  beforeEach(async () => {
    asked = [];
    ({ hub, server } = await startHub());
    proxy = createServer((incoming, response) => {
      asked.push(`${incoming.method} ${incoming.url}`);
      const passed = request(incoming.url!, { method: incoming.method!, headers: incoming.headers }, answer => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      incoming.pipe(passed);
    });
    proxy.on('connect', (incoming, socket) => {
      asked.push(`CONNECT ${incoming.url}`);
      const [host, port] = incoming.url!.split(':');
      const onward = connect(Number(port), host, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      socket.pipe(onward).pipe(socket);
    });
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    for (const one of [server, proxy]) {
      one.closeAllConnections();
      one.close();
    }
  });

  const address = (): string => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;

  test.each(['HTTP_PROXY', 'http_proxy', 'ALL_PROXY'])('that %s names brings a whole download', async name => {
    const settings = await hubSettings({ HF_HOME: '/nowhere', HF_ENDPOINT: hub.endpoint, [name]: address() });
    const folder = scratch.path('out');
    await download(await planDownload(REPOSITORY, 'main', settings), folder, settings);
    expect(readFileSync(join(folder, LARGE))).toEqual(contents[LARGE]);
    expect(asked[0]).toBe(`GET ${hub.endpoint}/api/models/${REPOSITORY}/revision/main`);
    expect(asked.length).toBeGreaterThan(5);
  });

  test('is passed by for the hosts in NO_PROXY', async () => {
    const env = { HF_HOME: '/nowhere', HF_ENDPOINT: hub.endpoint, HTTP_PROXY: address(), NO_PROXY: 'a.org,127.0.0.1' };
    await planDownload(REPOSITORY, 'main', await hubSettings(env));
    expect(asked).toEqual([]);
  });

  test('tunnels what is encrypted', async () => {
    const fetched = await proxiedFetch({ HTTPS_PROXY: address() });
    const { port } = server.address() as AddressInfo;
    await expect(fetched!(`https://127.0.0.1:${port}/`)).rejects.toThrow();
    expect(asked).toEqual([`CONNECT 127.0.0.1:${port}`]);
  });

  test('that is none is told', async () => {
    expect(await proxiedFetch({})).toBeUndefined();
    await expect(proxiedFetch({ HTTPS_PROXY: 'proxy:3128' })).rejects.toThrow('HTTPS_PROXY is no address of a proxy');
    const second = proxiedFetch({ HTTPS_PROXY: address(), HTTP_PROXY: 'proxy:3128' });
    await expect(second).rejects.toThrow(/^HTTP_PROXY is no address of a proxy/);
    const all = proxiedFetch({ HTTPS_PROXY: address(), all_proxy: 'proxy:3128' });
    await expect(all).rejects.toThrow(/^all_proxy is no address of a proxy/);
    const settings = await hubSettings({
      HF_HOME: '/nowhere',
      HF_ENDPOINT: hub.endpoint,
      HTTP_PROXY: 'http://127.0.0.1:9',
    });
    await expect(planDownload(REPOSITORY, 'main', settings)).rejects.toMatchObject({
      code: 'io',
      hint: expect.stringContaining('the proxy that HTTPS_PROXY or HTTP_PROXY names'),
    });
  });
});

describe('which weights of a repository are brought', () => {
  const digest = { kind: 'git', hex: 'a'.repeat(40) } as const;
  const chosen = (paths: readonly string[], variant?: string): string[] => {
    const files = [...paths, 'model_index.json', 'transformer/config.json', 'vae/config.json'];
    const listed = files.map(path => ({ path, size: 1, digest }));
    return neededFiles({ name: 'o/m', commit: 'c', files: listed }, { variant })
      .map(({ path }) => path)
      .filter(path => path.includes('safetensors'));
  };
  const T = 'transformer/diffusion_pytorch_model';
  const V = 'vae/diffusion_pytorch_model';

  test('the only variant of a folder, the plain ones where there are such, and the variant that is asked for', () => {
    expect(chosen([`${T}.fp16.safetensors`, `${V}.safetensors`])).toEqual([
      `${T}.fp16.safetensors`,
      `${V}.safetensors`,
    ]);
    const both = [`${T}.safetensors`, `${T}.fp16.safetensors`, `${V}.safetensors`];
    expect(chosen(both)).toEqual([`${T}.safetensors`, `${V}.safetensors`]);
    expect(chosen(both, 'fp16')).toEqual([`${T}.fp16.safetensors`, `${V}.safetensors`]);
    const sharded = [`${T}.fp16-00001-of-00002.safetensors`, `${T}.safetensors.index.fp16.json`];
    expect(chosen(sharded)).toEqual(sharded);
    expect(() => chosen([`${T}.fp16.safetensors`, `${T}.bf16.safetensors`])).toThrow('of the variants bf16, fp16');
  });

  test('a variant of any name, and none that is nowhere', () => {
    const both = [`${T}.safetensors`, `${T}.fp8_e4m3fn.safetensors`, `${V}.safetensors`];
    expect(chosen(both)).toEqual([`${T}.safetensors`, `${V}.safetensors`]);
    expect(chosen(both, 'fp8_e4m3fn')).toEqual([`${T}.fp8_e4m3fn.safetensors`, `${V}.safetensors`]);
    expect(() => chosen(both, 'fp61')).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: 'o/m holds no weights of the variant fp61.',
        hint: 'It holds those of fp8_e4m3fn.',
      }),
    );
    expect(() => chosen([`${T}.safetensors`], 'fp16')).toThrow('no weights of the variant fp16');
    const sharded = ['00001', '00002'].map(i => `${T}-${i}-of-00002.safetensors`);
    expect(chosen([...sharded, `${T}.safetensors.index.json`])).toHaveLength(3);
  });
});
