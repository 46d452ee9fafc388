import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';

const root = packageRoot();
const BUILT = ['index.mjs', 'index.cjs', 'index.d.mts', 'index.d.cts', 'cli.mjs'];

/** Builds the package unless `npm ci` has done so. */
export async function requireBuilt(): Promise<void> {
  if (BUILT.every(file => existsSync(join(root, 'dist', file)))) return;
  const { code, stderr } = await run(process.execPath, [join(root, 'node_modules/tsdown/dist/run.mjs')], { cwd: root });
  if (code !== 0) throw new Error(`The package could not be built:\n${stderr}`);
}

/** Builds the playground too, unless `npm ci` has done so. */
export async function requireSite(): Promise<void> {
  await requireBuilt();
  if (existsSync(join(root, 'dist/playground/index.html'))) return;
  const { code, stderr } = await run('npm', ['run', 'build:site'], { cwd: root });
  if (code !== 0) throw new Error(`The playground could not be built:\n${stderr}`);
}

/** A project of somebody else in `folder` that has ertacache installed, and these files. */
export function project(folder: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(root, join(folder, 'node_modules/ertacache'), 'dir');
  symlinkSync(join(root, 'node_modules/@tensorflow'), join(folder, 'node_modules/@tensorflow'), 'dir');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

/** Runs a file of the project with Node. @returns what it printed; an error when it failed */
export async function runNode(folder: string, file: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(process.execPath, [file, ...args], { cwd: folder });
  if (code !== 0) throw new Error(`${file} ended with ${code}:\n${stderr}`);
  return stdout;
}

/**
 * Type-checks files of the project, and the declarations that they use, as strictly as TypeScript can.
 * @returns its complaints, without those about declarations of TensorFlow.js, whose own types are not whole
 */
export async function typeErrors(folder: string, files: readonly string[]): Promise<string> {
  const options = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess'];
  const modules = ['--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
  const roots = ['--typeRoots', join(root, 'node_modules/@types')];
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout } = await run(process.execPath, [tsc, ...options, ...modules, ...roots, ...files], { cwd: folder });
  const complaints = stdout.split('\n').filter(line => !line.includes('node_modules/@tensorflow/'));
  return complaints.join('\n');
}
