import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { candidates } from '../../src/engine/locate';
import { resolvePackage } from '../../src/engine/resolve';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();

/** A project of somebody else that has a package of this name. */
function install(name: string): string {
  const folder = scratch.path('node_modules', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(scratch.path('node_modules', name, 'package.json'), JSON.stringify({ name, main: 'main.js' }));
  writeFileSync(scratch.path('node_modules', name, 'main.js'), '');
  return realpathSync(scratch.path('node_modules', name, 'main.js'));
}

test('a package is found beside ertacache, or in the project of the working directory', () => {
  const path = install('of-the-project');
  expect(resolvePackage('of-the-project', scratch.path())).toBe(path);
  expect(resolvePackage('of-the-project', scratch.path('elsewhere'))).toBe(path);
  expect(resolvePackage('of-the-project', '/')).toBeUndefined();
  expect(resolvePackage('@tensorflow/tfjs-core', '/')).toMatch(/tfjs-core/);
});

test('an optional tfjs-node is taken where it is installed, and named where it is not', () => {
  const [candidate] = candidates.filter(({ source }) => source === '@tensorflow/tfjs-node');
  const cwd = jest.spyOn(process, 'cwd').mockReturnValue('/');
  try {
    expect(() => candidate!.locate({})).toThrow('@tensorflow/tfjs-node is not installed');
    const module = install('@tensorflow/tfjs-node');
    cwd.mockReturnValue(scratch.path());
    expect(candidate!.locate({})).toEqual({ backend: 'tensorflow', module });
  } finally {
    cwd.mockRestore();
  }
});
