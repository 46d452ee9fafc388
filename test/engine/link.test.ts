import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findTensorFlow, tensorflowIn } from '../../src/engine/link/find-tensorflow';
import { linkEngine, unlinkEngine } from '../../src/engine/link/link';
import { cacheFolder, findLink, REVISION, staleness } from '../../src/engine/link/record';
import { findCompiler, findNodeHeaders } from '../../src/engine/link/toolchain';
import { assertSupportedNode } from '../../src/engine/node-support';
import { EngineError, type ErtaError } from '../../src/errors';
import { type FakeMachine, fakeMachine, fakeTensorFlow, SCRIPTS } from './fake-machine';

const LIBTENSORFLOW =
  process.platform === 'darwin'
    ? ['libtensorflow.2.dylib', 'libtensorflow_framework.2.dylib', 'libtensorflow.2.18.0.dylib']
    : ['libtensorflow.so.2', 'libtensorflow_framework.so.2', 'libtensorflow.so.2.18.0'];

const machines: FakeMachine[] = [];
function machine(scripts: Record<string, string>, real: string[] = []): FakeMachine {
  const made = fakeMachine(scripts, real);
  machines.push(made);
  return made;
}
afterAll(() => {
  for (const { root } of machines) rmSync(root, { recursive: true });
});

async function failure(action: () => unknown): Promise<ErtaError> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError);
    return error as ErtaError;
  }
  throw new Error('It did not fail.');
}

/** Everything that must be there for a link up to the compiler; node headers are faked through npm_config_nodedir. */
function linkable(scripts: Record<string, string>): FakeMachine & { tensorflow: string } {
  const made = machine(scripts, ['tar', 'gzip', 'mkdir', 'rm', 'node']);
  return { ...made, tensorflow: fakeTensorFlow(join(made.root, 'site-packages')) };
}

describe('finding TensorFlow', () => {
  test('without Python', async () => {
    const { root, env } = machine({});
    const error = await failure(() => findTensorFlow({ cwd: root, env, system: [] }));
    expect(error.message).toBe('There is no python3 on the PATH and no libtensorflow on this machine.');
    expect(error.hint).toContain('Install Python 3');
  });

  test('with a Python that lacks it', async () => {
    const { root, env } = machine({ python3: SCRIPTS.pythonWithout });
    const error = await failure(() => findTensorFlow({ cwd: root, env, system: [] }));
    expect(error.message).toBe('Python is installed, but TensorFlow is not.');
    expect(error.hint).toContain('pip install tensorflow');
  });

  test('with a Python that has it', async () => {
    const { root } = machine({});
    const folder = fakeTensorFlow(join(root, 'anywhere'));
    const { env } = machine({ python3: `echo '${folder}'` });
    expect(await findTensorFlow({ cwd: root, env, system: [] })).toMatchObject({ lib: folder, version: '2.99.1' });
  });

  test('in the working directory, by virtualenv, site-packages and wheel folder', async () => {
    const { root, env } = machine({});
    const site = join(root, '.venv/lib/python3.12/site-packages');
    const folder = fakeTensorFlow(site);
    mkdirSync(join(site, 'nvidia/cublas/lib'), { recursive: true });
    expect(await findTensorFlow({ cwd: root, env })).toMatchObject({
      lib: folder,
      version: '2.99.1',
      nvidia: [join(site, 'nvidia/cublas/lib')],
    });
    for (const given of [folder, site, join(root, '.venv')]) expect(tensorflowIn(given)?.lib).toBe(folder);
  });

  test('as the C distribution', () => {
    const { root } = machine({});
    for (const file of ['include/tensorflow/c/eager/c_api.h', ...LIBTENSORFLOW.map(name => `lib/${name}`)]) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), '');
    }
    expect(tensorflowIn(root)).toMatchObject({
      lib: join(root, 'lib'),
      include: join(root, 'include'),
      libraries: [LIBTENSORFLOW[0], LIBTENSORFLOW[1]],
      version: '2.18.0',
    });
  });

  test("the version of a wheel that has no version header is the wheel's own", () => {
    const { root } = machine({});
    const folder = fakeTensorFlow(root);
    rmSync(join(folder, 'include/tensorflow/core'), { recursive: true });
    for (const name of ['tensorflow_estimator-2.15.0.dist-info', 'tensorflow_cpu-2.20.1.dist-info']) {
      mkdirSync(join(root, name));
    }
    expect(tensorflowIn(folder)?.version).toBe('2.20.1');
  });

  test('the folder that was named has none', async () => {
    const { root, env } = machine({});
    const error = await failure(() => findTensorFlow({ given: 'bin', cwd: root, env }));
    expect(error.message).toBe('There is no TensorFlow with shared libraries and headers in bin.');
  });
});

describe('what a link needs', () => {
  test('a compiler', async () => {
    const { env } = machine({});
    const error = await failure(() => findCompiler(env));
    expect(error.message).toBe('There is no C++ compiler on the PATH.');
    expect(error.hint).toContain('apt install g++');
  });

  test("Node's headers", async () => {
    const { root } = machine({});
    const error = await failure(() => findNodeHeaders([join(root, 'include/node')]));
    expect(error.message).toContain('node_api.h');
    expect(error.hint).toContain('npm_config_nodedir');
  });

  test.each(['16.20.0', '18.20.0'])('not Node %s', async version => {
    const error = await failure(() => assertSupportedNode(version));
    expect(error.message).toBe(`The native engine needs Node >= 20; this is Node ${version}.`);
    expect(error.hint).toContain('nvm install');
  });

  test.each(['20.19.0', '22.1.0', '24.1.0', '26.0.0'])('Node %s will do', version => {
    expect(() => assertSupportedNode(version)).not.toThrow();
  });
});

describe('a link that fails leaves nothing behind', () => {
  const attempt = async (scripts: Record<string, string>) => {
    const made = linkable(scripts);
    mkdirSync(join(made.root, 'headers/include/node'), { recursive: true });
    const nodedir = join(made.root, 'headers');
    writeFileSync(join(nodedir, 'include/node/node_api.h'), '');
    const env = { ...made.env, npm_config_nodedir: nodedir };
    const error = await failure(() => linkEngine({ tensorflow: made.tensorflow, cwd: made.root, env }));
    const left = join(made.cache, 'engine');
    expect(existsSync(left) ? readdirSync(left) : []).toEqual([]);
    return error;
  };

  test('no compiler', async () => {
    expect((await attempt({})).message).toBe('There is no C++ compiler on the PATH.');
  });

  test('no npm', async () => {
    expect((await attempt({ 'c++': SCRIPTS.compilerFails })).message).toBe('There is no npm on the PATH.');
  });

  test('npm without a network', async () => {
    const error = await attempt({ 'c++': SCRIPTS.compilerFails, npm: SCRIPTS.npmOffline });
    expect(error.message).toBe('npm could not fetch @tensorflow/tfjs-node@4.22.0.');
    expect(error.hint).toContain('npm config get registry');
    expect(String(error.cause)).toContain('network unreachable');
  });

  test('the compiler refuses', async () => {
    const error = await attempt({ 'c++': SCRIPTS.compilerFails, npm: SCRIPTS.npm });
    expect(error.message).toBe('The compiler could not build the TensorFlow binding.');
    expect(error.hint).toContain('--verbose');
    expect(String(error.cause)).toContain('error: no such thing');
  });

  test('what was built does not work', async () => {
    const error = await attempt({ 'c++': SCRIPTS.compilerLies, npm: SCRIPTS.npm });
    expect(error.message).toMatch(/^The linked engine failed its self-test: /);
    expect(error.hint).toContain('2.99.1');
  });
});

describe('the cache folder', () => {
  test('follows ERTACACHE_CACHE, then XDG_CACHE_HOME', () => {
    expect(cacheFolder({ ERTACACHE_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/ertacache');
    expect(cacheFolder({})).toMatch(/\.cache\/ertacache$/);
  });

  test('unlink removes links and leaves the rest', async () => {
    const { cache, env } = machine({});
    mkdirSync(join(cache, 'engine/tensorflow-2.1.0-napi'), { recursive: true });
    writeFileSync(join(cache, 'engine/tensorflow-2.1.0-napi/link.json'), '{}');
    mkdirSync(join(cache, 'engine/notes'));
    mkdirSync(join(cache, 'engine/tensorflow-of-mine-napi'));
    expect(await unlinkEngine(env)).toEqual([join(cache, 'engine/tensorflow-2.1.0-napi')]);
    expect(readdirSync(join(cache, 'engine')).sort()).toEqual(['notes', 'tensorflow-of-mine-napi']);
    expect(await unlinkEngine(env)).toEqual([]);
  });

  test('a link whose TensorFlow has gone or changed is not used', () => {
    const record = {
      schema: 2 as const,
      revision: REVISION,
      tensorflow: '2.21.0',
      binding: '',
      compiler: '',
      linked: '',
      library: { path: __filename, bytes: 1, modified: 1 },
    };
    expect(staleness({ folder: '', record })).toContain('has changed');
    expect(staleness({ folder: '', record: { ...record, library: { ...record.library, path: '/none' } } })).toContain(
      'is gone',
    );
    expect(staleness({ folder: '', record: { ...record, revision: 0 } })).toContain('another version of ertacache');
  });
});

const link = findLink();
(link ? test : test.skip)('linking again does nothing, quickly', async () => {
  const binding = join(link!.folder, 'node_modules/@tensorflow/tfjs-node/lib/napi-v8/tfjs_binding.node');
  const before = statSync(binding).mtimeMs;
  const steps: string[] = [];
  const outcome = await linkEngine({ tensorflow: join(link!.record.library.path, '..'), onStep: s => steps.push(s) });
  expect(outcome).toMatchObject({ already: true, folder: link!.folder });
  expect(steps).toEqual([]);
  expect(statSync(binding).mtimeMs).toBe(before);
});
