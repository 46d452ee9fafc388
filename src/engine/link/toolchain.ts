import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { EngineError } from '../../errors';
import { run } from '../run';

/** The C++ compiler to call: $CXX, or the first of c++, g++ and clang++ that runs. */
export async function findCompiler(env: NodeJS.ProcessEnv = process.env): Promise<{ program: string; name: string }> {
  for (const program of [env.CXX, 'c++', 'g++', 'clang++']) {
    if (!program) continue;
    const { code, stdout } = await run(program, ['--version'], { env });
    if (code === 0) return { program, name: stdout.split('\n')[0] ?? program };
  }
  throw new EngineError('There is no C++ compiler on the PATH.', {
    hint: 'Install one (Debian and Ubuntu: `apt install g++`; macOS: `xcode-select --install`), or set CXX.',
  });
}

/** Where Node's C headers may be: a set nodedir, Node's own prefix, node-gyp's cache, a distribution's package. */
export function headerFolders(env: NodeJS.ProcessEnv = process.env): string[] {
  const { node } = process.versions;
  const prefixes = [
    env.npm_config_nodedir,
    dirname(dirname(process.execPath)),
    join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'node-gyp', node),
    join(homedir(), 'Library/Caches/node-gyp', node),
    '/usr',
    '/usr/local',
  ];
  return prefixes.flatMap(prefix => (prefix ? [join(prefix, 'include/node')] : []));
}

/** The folder that holds Node's `node_api.h`. */
export function findNodeHeaders(folders = headerFolders()): string {
  const found = folders.find(folder => existsSync(join(folder, 'node_api.h')));
  if (found) return found;
  throw new EngineError("Node's C headers (node_api.h) were not found.", {
    hint:
      'Install them (Debian and Ubuntu: `apt install libnode-dev`, or use the official Node archive, which has them), ' +
      'or run `npx node-gyp install`, or set npm_config_nodedir to a folder that has include/node.',
  });
}
