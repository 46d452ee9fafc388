import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../errors';
import { lastLines, run } from '../run';
import { ADDITIONS } from './files';
import type { TensorFlow } from './find-tensorflow';

/** What a compilation needs to know about the machine. */
export interface Toolchain {
  compiler: string;
  nodeHeaders: string;
  env?: NodeJS.ProcessEnv;
}

// A Node addon takes Node's own symbols from the process that loads it; a missing one of TensorFlow's shows at load.
const SHARED =
  process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-fPIC', '-Wl,-z,now'];

async function compile(cwd: string, args: string[], what: string, { compiler, nodeHeaders, env }: Toolchain) {
  const flags = ['-O2', '-std=c++17', ...SHARED, '-w', '-DNAPI_VERSION=8', `-I${nodeHeaders}`];
  const result = await run(compiler, [...flags, ...args], { cwd, ...(env && { env }) });
  if (result.code === 0) return;
  throw new EngineError(`The compiler could not build ${what}.`, {
    hint: 'Run it again with --verbose to see what the compiler said; a newer compiler or TensorFlow may help.',
    cause: new Error(lastLines(`${result.stdout}\n${result.stderr}`, 20)),
  });
}

const HEADER = 'ertacache.h';

/** Compiles the two files of tfjs-node's binding in place, linked to TensorFlow's own libraries where they lie. */
export async function compileBinding(packageFolder: string, tf: TensorFlow, toolchain: Toolchain): Promise<void> {
  const out = join(packageFolder, 'lib/napi-v8');
  await mkdir(out, { recursive: true });
  await writeFile(join(packageFolder, 'binding', HEADER), ADDITIONS);
  const libraries =
    process.platform === 'darwin'
      ? tf.libraries.map(name => join(tf.lib, name))
      : tf.libraries.map(name => `-l:${name}`);
  await compile(
    join(packageFolder, 'binding'),
    [
      `-I${tf.include}`,
      '-I..',
      '-include',
      HEADER,
      'tfjs_backend.cc',
      'tfjs_binding.cc',
      '-o',
      join(out, 'tfjs_binding.node'),
      `-L${tf.lib}`,
      ...libraries,
      `-Wl,-rpath,${tf.lib}`,
    ],
    'the TensorFlow binding',
    toolchain,
  );
}

/** Compiles the helper addon from its source text. */
export async function compileHelper(folder: string, source: string, toolchain: Toolchain): Promise<void> {
  await writeFile(join(folder, 'helper.cc'), source);
  const dl = process.platform === 'linux' ? ['-ldl'] : [];
  await compile(folder, ['helper.cc', '-o', join(folder, 'helper.node'), ...dl], 'its helper', toolchain);
}
