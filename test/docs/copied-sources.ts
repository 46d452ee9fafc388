import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';

/** A copy of the sources within the repository, so that it finds the packages it needs. */
export interface CopiedSources {
  path(...names: string[]): string;
  write(file: string, text: string): void;
  /** Replaces what is there exactly once. */
  replace(file: string, old: string, by: string): void;
  /** What the type checker says of these files and all that they import. */
  typeErrors(files: readonly string[]): Promise<string>;
  /** A module of the copy. */
  load<Module>(file: string): Module;
  remove(): void;
}

export function copiedSources(name: string): CopiedSources {
  const root = join(packageRoot(), 'dist', `${name}-${process.pid}`);
  const path = (...names: string[]): string => join(root, ...names);
  cpSync(join(packageRoot(), 'src'), path('src'), { recursive: true });
  return {
    path,
    write(file, text) {
      mkdirSync(dirname(path(file)), { recursive: true });
      writeFileSync(path(file), text);
    },
    replace(file, old, by) {
      const parts = readFileSync(path(file), 'utf8').split(old);
      if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${old}`);
      writeFileSync(path(file), parts.join(by));
    },
    async typeErrors(files) {
      writeFileSync(path('tsconfig.json'), JSON.stringify({ extends: '../../tsconfig.json', include: [], files }));
      const tsc = join(packageRoot(), 'node_modules/typescript/bin/tsc');
      const { stdout } = await run(process.execPath, [tsc, '-p', root, '--pretty', 'false'], { cwd: root });
      return stdout;
    },
    load: file => require(path('src', file)),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
