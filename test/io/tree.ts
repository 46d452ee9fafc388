import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

/** Every file of a folder with its bytes, by its path. */
export function tree(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => !entry.isDirectory());
  const paths = files.map(entry => join(entry.parentPath, entry.name)).sort();
  return new Map(paths.map(path => [relative(folder, path), readFileSync(path, 'latin1')]));
}

/** Files that only a run in progress has, or one that was cut. */
const isPassing = (path: string): boolean =>
  /\.[0-9a-f]{6}-\d+-\d+-[0-9a-f]{12}\.(new|old)\.partial(\/|$)|\.download\.partial$|ertacache-lock$/.test(path);

/** The files of a folder that are there for good. */
export const settled = (folder: string): Map<string, string> =>
  new Map([...tree(folder)].filter(([path]) => !isPassing(path)));

/** Puts files into a folder. */
export function put(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

/** Clocks differ from run to run; a page is made of them. */
export function plain(files: ReadonlyMap<string, string>): Map<string, string> {
  const CLOCKS = ['seconds', 'timing', 'started', 'speedup', 'summary', 'command'];
  const entries = [...files].map(([path, content]): [string, string] => {
    if (path.endsWith('index.html')) return [path, 'a page'];
    if (!path.endsWith('comparison.json')) return [path, content];
    return [path, JSON.stringify(JSON.parse(content), (key, value) => (CLOCKS.includes(key) ? undefined : value), 1)];
  });
  return new Map(entries);
}

/** Whether a policy's file is as `calibrate` writes it before it measures. @param whole the file at the end */
export function isUnmeasured(content: string, whole = ''): boolean {
  if (!content.includes('"ertacache-policy"') || !whole.includes('"ertacache-policy"')) return false;
  return isDeepStrictEqual(JSON.parse(content), { ...JSON.parse(whole), measured: {} });
}
