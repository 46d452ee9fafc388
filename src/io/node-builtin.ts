/**
 * A module of Node where there is one, without an import that a bundle for browsers would have to follow.
 * @param name without `node:`
 * @returns undefined outside Node
 */
export function nodeBuiltin<Name extends keyof Builtins>(name: Name): Builtins[Name] | undefined {
  const { process } = globalThis as { process?: Partial<Pick<NodeJS.Process, 'getBuiltinModule'>> };
  return process?.getBuiltinModule?.(name) as Builtins[Name] | undefined;
}

interface Builtins {
  readonly crypto: typeof import('node:crypto');
  readonly fs: typeof import('node:fs');
  readonly os: typeof import('node:os');
  readonly worker_threads: typeof import('node:worker_threads');
}
