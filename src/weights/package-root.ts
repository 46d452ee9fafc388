import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IoError } from '../errors';

interface PackageJson {
  readonly name?: string;
  readonly version?: string;
}

let found: { root: string; version: string } | undefined;

/** Folder of the installed package, in which `converted-models/` and `calibration/` lie. */
export function packageRoot(): string {
  return locate().root;
}

/** Version of this package. */
export function packageVersion(): string {
  return locate().version;
}

// Upwards from this file, so that it holds from src/ as from dist/, whatever the depth.
function locate(): { root: string; version: string } {
  if (found) return found;
  const here = dirname(fileURLToPath(import.meta.url));
  for (let folder = here; ; folder = dirname(folder)) {
    const path = join(folder, 'package.json');
    if (existsSync(path)) {
      const { name, version } = JSON.parse(readFileSync(path, 'utf8')) as PackageJson;
      if (name === 'ertacache') {
        found = { root: folder, version: version ?? '0.0.0' };
        return found;
      }
    }
    if (folder === dirname(folder)) {
      throw new IoError('The package.json of ertacache was not found.', { hint: 'Install the package again.' });
    }
  }
}
