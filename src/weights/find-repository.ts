import { dirname, join, resolve } from 'node:path';
import { diskFolder } from '../io/disk-folder';
import { isFile } from '../io/node-file';
import { cachedRepository } from './download/hub-home';
import type { FindRepository } from './split-pipeline';

/** How many folders up another repository is looked for: `hub/owner/name/part` is the deepest usual place. */
const LEVELS = 3;

/** Another repository beside a model on disk, as `owner/name` or `name`, in the folders above it or the hub's cache. */
export function repositoryNear(path: string): FindRepository {
  return async name => {
    let above = resolve(path);
    for (let level = 0; level < LEVELS; level++) {
      above = dirname(above);
      for (const place of [join(above, name), join(above, name.split('/').at(-1) as string)]) {
        if (await isFile(join(place, 'config.json'))) return diskFolder(place);
      }
    }
    const cached = cachedRepository(name);
    return cached !== undefined && (await isFile(join(cached, 'config.json'))) ? diskFolder(cached) : undefined;
  };
}
