import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { EngineError } from '../../errors';
import { withAtomicFolder } from '../../io/atomic-folder';
import { disk } from '../../io/fs';
import { assertSupportedNode } from '../node-support';
import { probe } from '../probe';
import { compileBinding, compileHelper } from './compile';
import { BINDING, fetchBinding } from './fetch-binding';
import { BRIDGE, HELPER, LOADER } from './files';
import { findTensorFlow, type TensorFlow } from './find-tensorflow';
import { type Link, type LinkRecord, libraryStamp, linksFolder, REVISION, readRecord, staleness } from './record';
import { findCompiler, findNodeHeaders, headerFolders } from './toolchain';

export interface LinkOptions {
  /** A site-packages/tensorflow folder, a virtualenv or a libtensorflow folder; found when not given. */
  tensorflow?: string | undefined;
  cwd?: string | undefined;
  env?: NodeJS.ProcessEnv | undefined;
  /** Called before each step that takes time. */
  onStep?: ((line: string) => void) | undefined;
}

export interface LinkOutcome extends Link {
  /** True when it was there before and nothing was built. */
  already: boolean;
}

async function cudaLibraries(tf: TensorFlow): Promise<string[]> {
  // TensorFlow opens CUDA's libraries by name only. Those of `tensorflow[and-cuda]` lie in folders that the system's
  // loader does not search, so the loader of the link opens them first, by path. This was not tested on a GPU.
  const files = await Promise.all(
    tf.nvidia.map(async folder => (await readdir(folder)).map(name => join(folder, name))),
  );
  // nvblas would put itself in front of every other BLAS.
  return files.flat().filter(file => /\.so(\.\d+)*$/.test(file) && !file.includes('nvblas'));
}

async function writeLoader(folder: string, tf: TensorFlow): Promise<void> {
  for (const name of ['tfjs', 'tfjs-core']) {
    const bridge = join(folder, 'node_modules/@tensorflow', name);
    await mkdir(bridge, { recursive: true });
    await writeFile(join(bridge, 'index.js'), BRIDGE);
  }
  await writeFile(join(folder, 'preload.json'), JSON.stringify(await cudaLibraries(tf)));
  await writeFile(join(folder, 'load.cjs'), LOADER);
}

async function writeRecord(folder: string, record: LinkRecord): Promise<void> {
  await writeFile(join(folder, 'link.json'), `${JSON.stringify(record, null, 2)}\n`);
}

function isSame(record: LinkRecord, library: string): boolean {
  return record.binding === BINDING && record.library.path === library;
}

/**
 * Builds the published tfjs-node binding against a TensorFlow that is on the machine, tests it in a child process
 * and puts it in the user's cache folder. Nothing of TensorFlow is copied.
 * @throws EngineError that says what is missing and how to get it
 */
export async function linkEngine(options: LinkOptions = {}): Promise<LinkOutcome> {
  const { env = process.env, onStep = () => {} } = options;
  if (process.platform === 'win32') {
    throw new EngineError('`engine link` works on Linux and macOS only.', {
      hint: 'Take the backend wasm (--backend wasm), or WSL.',
    });
  }
  assertSupportedNode();
  const tf = await findTensorFlow({ given: options.tensorflow, cwd: options.cwd, env });
  const library = libraryStamp(join(tf.lib, tf.libraries[0] as string));
  const folder = join(linksFolder(env), `tensorflow-${tf.version}-napi`);

  const existing = readRecord(folder);
  if (existing && isSame(existing, library.path) && !staleness({ folder, record: existing })) {
    const record = { ...existing, linked: new Date().toISOString() };
    await writeRecord(folder, record);
    return { folder, record, already: true };
  }
  const compiler = await findCompiler(env);
  const toolchain = { compiler: compiler.program, nodeHeaders: findNodeHeaders(headerFolders(env)), env };

  const record = await withAtomicFolder(
    folder,
    async partial => {
      onStep(`fetching ${BINDING}`);
      await fetchBinding(partial, env);
      onStep(`compiling it against TensorFlow ${tf.version} in ${tf.lib}`);
      await writeLoader(partial, tf);
      await compileBinding(join(partial, 'node_modules/@tensorflow/tfjs-node'), tf, toolchain);
      await compileHelper(partial, HELPER, toolchain);
      onStep('testing it in a child process');
      const tested = await probe({ backend: 'tensorflow', module: join(partial, 'load.cjs'), link: true });
      if (tested.error !== undefined) {
        throw new EngineError(`The linked engine failed its self-test: ${tested.error}`, {
          hint: `Try another TensorFlow version than ${tf.version} (\`pip install tensorflow==2.21\`), or take the backend wasm (--backend wasm).`,
        });
      }
      const made: LinkRecord = {
        schema: 2,
        tensorflow: tested.version ?? tf.version,
        revision: REVISION,
        binding: BINDING,
        node: process.versions.node,
        library,
        compiler: compiler.name,
        linked: new Date().toISOString(),
      };
      await writeRecord(partial, made);
      return made;
    },
    { own: linkedFiles },
  );
  return { folder, record, already: false };
}

/** Every file in the folder of a link; undefined where a folder is none. */
async function linkedFiles(folder: string): Promise<ReadonlySet<string> | undefined> {
  if (!existsSync(join(folder, 'link.json'))) return undefined;
  return new Set((await readdir(folder, { recursive: true })).map(name => name.split(sep).join('/')));
}

/** Removes every linked binding of this user; returns the folders that were removed. */
export async function unlinkEngine(env: NodeJS.ProcessEnv = process.env): Promise<string[]> {
  const root = linksFolder(env);
  if (!existsSync(root)) return [];
  // Only what `engine link` makes: the cache folder is the user's to choose, and may hold other things.
  const names = (await readdir(root)).filter(name => /^tensorflow-.+-(napi|node-abi-\d+)$/.test(name));
  const folders = names.map(name => join(root, name)).filter(folder => existsSync(join(folder, 'link.json')));
  for (const folder of folders) await disk.remove(folder);
  return folders;
}
