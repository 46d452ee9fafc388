import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EngineError } from '../../errors';
import { run } from '../run';

/** A TensorFlow that the binding can be linked against. */
export interface TensorFlow {
  include: string;
  /** Folder of the shared libraries. */
  lib: string;
  /** File names to link: the C API first. */
  libraries: string[];
  version: string;
  /** Folders of NVIDIA's pip wheels beside it, with CUDA and cuDNN. */
  nvidia: string[];
}

// A wheel has the C API inside libtensorflow_cc, the C distribution in libtensorflow.
const NAMES =
  process.platform === 'darwin'
    ? [
        ['libtensorflow_cc.2.dylib', 'libtensorflow_framework.2.dylib'],
        ['libtensorflow.2.dylib', 'libtensorflow_framework.2.dylib'],
      ]
    : [
        ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'],
        ['libtensorflow.so.2', 'libtensorflow_framework.so.2'],
      ];

const MEND = 'Run `pip install tensorflow` (or `tensorflow-cpu`, or `tensorflow[and-cuda]`), or give --tensorflow DIR.';

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function versionOf(include: string, lib: string, site: string): string {
  for (const name of ['release_version.h', 'version.h']) {
    const header = join(include, 'tensorflow/core/public', name);
    if (!existsSync(header)) continue;
    const text = readFileSync(header, 'utf8');
    const parts = ['MAJOR', 'MINOR', 'PATCH'].map(p => text.match(new RegExp(`define TF_${p}_VERSION (\\d+)`))?.[1]);
    if (parts.every(part => part !== undefined)) return parts.join('.');
  }
  // Not tensorflow_estimator and the like, which have versions of their own.
  const wheel = list(site).find(name =>
    /^(tensorflow(_cpu|_gpu|_macos|_rocm)?|tf_nightly\w*)-\d.*\.dist-info$/.test(name),
  );
  if (wheel) return wheel.replace(/^[^-]*-/, '').replace('.dist-info', '');
  const file = list(lib).find(name => /^libtensorflow\.(so\.\d+\.\d+\.\d+|\d+\.\d+\.\d+\.dylib)$/.test(name));
  return file?.match(/\d+\.\d+\.\d+/)?.[0] ?? 'unknown';
}

function describe(lib: string, include: string): TensorFlow | undefined {
  if (!existsSync(join(include, 'tensorflow/c/eager/c_api.h'))) return undefined;
  const libraries = NAMES.find(names => names.every(name => existsSync(join(lib, name))));
  if (!libraries) return undefined;
  const site = dirname(lib);
  const nvidia = list(join(site, 'nvidia'))
    .map(name => join(site, 'nvidia', name, 'lib'))
    .filter(existsSync);
  return { include, lib, libraries, version: versionOf(include, lib, site), nvidia };
}

/** What a folder holds: a wheel's `tensorflow` folder, a libtensorflow folder, site-packages, or a virtualenv. */
export function tensorflowIn(folder: string): TensorFlow | undefined {
  const root = resolve(folder);
  const sites = ['lib', 'lib64'].flatMap(lib =>
    list(join(root, lib))
      .filter(name => name.startsWith('python3'))
      .map(name => join(root, lib, name, 'site-packages')),
  );
  for (const wheel of [root, join(root, 'tensorflow'), ...sites.map(site => join(site, 'tensorflow'))]) {
    const found = describe(wheel, join(wheel, 'include'));
    if (found) return found;
  }
  return describe(join(root, 'lib'), join(root, 'include'));
}

// Finds the package without importing it, which would take seconds and start TensorFlow.
const FIND_SPEC = `
import importlib.util
spec = importlib.util.find_spec("tensorflow")
print(list(spec.submodule_search_locations)[0] if spec else "")
`;

/**
 * Finds a TensorFlow: the given folder, or else the active virtualenv, one in the working directory, python3's own,
 * or a system-wide libtensorflow.
 */
export async function findTensorFlow(options: {
  given?: string | undefined;
  cwd?: string | undefined;
  env?: NodeJS.ProcessEnv;
  /** Where a libtensorflow for the whole machine would be. */
  system?: readonly string[];
}): Promise<TensorFlow> {
  const { given, cwd = process.cwd(), env = process.env, system = ['/usr/local', '/usr'] } = options;
  if (given !== undefined) {
    const found = tensorflowIn(resolve(cwd, given));
    if (found) return found;
    throw new EngineError(`There is no TensorFlow with shared libraries and headers in ${given}.`, {
      hint: 'Give a site-packages/tensorflow folder, a virtualenv that has TensorFlow, or a libtensorflow folder.',
    });
  }
  const local = ['.tensorflow', '.venv', 'venv'].map(name => join(cwd, name));
  for (const folder of [env.VIRTUAL_ENV, env.CONDA_PREFIX, ...local]) {
    const found = folder ? tensorflowIn(folder) : undefined;
    if (found) return found;
  }
  let pythons = 0;
  for (const python of ['python3', 'python']) {
    const result = await run(python, ['-c', FIND_SPEC], { cwd, env });
    if (!result.missing) pythons++;
    const folder = result.code === 0 ? result.stdout.trim() : '';
    const found = folder ? tensorflowIn(folder) : undefined;
    if (found) return found;
  }
  for (const folder of system) {
    const found = tensorflowIn(folder);
    if (found) return found;
  }
  throw pythons === 0
    ? new EngineError('There is no python3 on the PATH and no libtensorflow on this machine.', {
        hint: `Install Python 3, then: ${MEND}`,
      })
    : new EngineError('Python is installed, but TensorFlow is not.', { hint: MEND });
}
