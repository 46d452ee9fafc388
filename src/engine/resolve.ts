import { createRequire } from 'node:module';
import { join } from 'node:path';

/**
 * Where a package is: beside ertacache or, for what a user's own project has and ertacache does not depend on,
 * from the working directory. Undefined when it is not installed.
 */
export function resolvePackage(name: string, cwd = process.cwd()): string | undefined {
  for (const base of [__filename, join(cwd, 'package.json')]) {
    try {
      return createRequire(base).resolve(name);
    } catch {
      // Not there: try the next.
    }
  }
  return undefined;
}

/** Requires a module by absolute path, from ES modules, CommonJS and tests alike. */
export function requirePath(path: string): unknown {
  return createRequire(path)(path);
}
