import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/io/package-root';
import { project, requireBuilt, runNode, typeErrors } from '../library/built-package';
import { scratchFolder } from '../media/pictures';
import { commandLineFault, commandLines } from './command-line';
import { snippets } from './pages';

const scratch = scratchFolder();
/** Blocks that are programs of their own; parts of files are tested where they are applied. */
const programs = snippets().filter(s => ['ts', 'js', 'mjs'].includes(s.language) && s.note === undefined);

beforeAll(requireBuilt);

test('every program in the documentation is well typed under strict', async () => {
  const files = Object.fromEntries(
    programs.map(({ name, language, text }) => [`${name}.${language === 'ts' ? 'mts' : 'mjs'}`, `${text}export {};\n`]),
  );
  expect(Object.keys(files).length).toBeGreaterThan(8);
  project(scratch.path(), files);
  const typed = Object.keys(files).filter(name => name.endsWith('.mts'));
  expect(await typeErrors(scratch.path(), typed)).toBe('');
}, 120_000);

/** Those that need no pipeline: they take a moment. */
const quick = programs.filter(({ language, text }) => language === 'ts' && !text.includes('loadModel'));

test.each(quick.map(s => [s.name, s.text]))('the program %s runs to its end', async (name, text) => {
  const { transformSync } = await import('@swc/core');
  const { code } = transformSync(text, { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } });
  project(scratch.path(), { [`${name}.mjs`]: code });
  await runNode(scratch.path(), `${name}.mjs`);
});

/** Command lines of ertacache in blocks of shell, of the README too. */
const lines = [
  ...snippets()
    .filter(s => s.language === 'sh')
    .map(s => s.text),
  ...[...readFileSync(join(packageRoot(), 'README.md'), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].map(m => m[1]!),
].flatMap(commandLines);

test('every command line in the documentation is one that the program understands', async () => {
  expect(lines.length).toBeGreaterThan(20);
  const faults: string[] = [];
  for (const line of lines) {
    const fault = await commandLineFault(line);
    if (fault !== undefined) faults.push(`${line.join(' ')}: ${fault}`);
  }
  expect(faults).toEqual([]);
  // It does refuse what is wrong.
  expect(await commandLineFault(['sample', 'x', '--sedes', '1'])).toContain('--sedes');
  expect(await commandLineFault(['sampel', 'x'])).toContain('sampel');
  expect(await commandLineFault(['calibrate', '--site', 'nowhere'])).toContain('nowhere');
  expect(await commandLineFault(['policy', 'show'])).toContain('file');
});

test('every link in the documentation leads to a file', () => {
  const folder = join(packageRoot(), 'docs');
  const pages = ['README.md', ...new Set(snippets().map(s => `${s.name.replace(/-\d+$/, '')}.md`))];
  const broken = pages.flatMap(page =>
    [...readFileSync(join(folder, page), 'utf8').matchAll(/\]\(([^)#]+)\)/g)]
      .map(m => m[1]!)
      .filter(link => !link.startsWith('http') && !existsSync(join(folder, link)))
      .map(link => `${page}: ${link}`),
  );
  expect(broken).toEqual([]);
});
