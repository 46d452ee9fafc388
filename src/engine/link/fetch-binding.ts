import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../errors';
import { lastLines, run } from '../run';

/** The binding's package, and the one dependency that its JavaScript side really loads. */
export const BINDING = '@tensorflow/tfjs-node@4.22.0';
const PACKAGES = [
  { spec: BINDING, folder: '@tensorflow/tfjs-node' },
  { spec: 'google-protobuf@3.21.4', folder: 'google-protobuf' },
];

/**
 * Fetches the published packages into `folder/node_modules`, as they are and without running any script of theirs:
 * `npm pack` uses the user's registry, proxy and cache settings and checks each archive against its published hash.
 */
export async function fetchBinding(folder: string, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const archives = join(folder, 'archives');
  for (const { spec, folder: name } of PACKAGES) {
    const target = join(folder, 'node_modules', name);
    await mkdir(target, { recursive: true });
    await mkdir(archives, { recursive: true });
    const packed = await run('npm', ['pack', spec, '--ignore-scripts', '--pack-destination', archives], {
      cwd: folder,
      env,
    });
    if (packed.missing) {
      throw new EngineError('There is no npm on the PATH.', { hint: 'Install npm; it usually comes with Node.' });
    }
    const archive = (await readdir(archives)).find(file => file.endsWith('.tgz'));
    if (packed.code !== 0 || archive === undefined) {
      throw new EngineError(`npm could not fetch ${spec}.`, {
        hint: 'Check the network and `npm config get registry`, then run `ertacache engine link` again.',
        cause: new Error(lastLines(packed.stderr, 5)),
      });
    }
    const unpacked = await run('tar', ['-xzf', join(archives, archive), '--strip-components=1', '-C', target], { env });
    if (unpacked.code !== 0) {
      throw new EngineError(`The archive of ${spec} could not be unpacked.`, {
        hint: unpacked.missing ? 'Install tar.' : 'Check that the disk is not full, then run it again.',
        cause: new Error(lastLines(unpacked.stderr, 5)),
      });
    }
    await rm(archives, { recursive: true });
  }
}
