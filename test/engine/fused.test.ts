import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usableFused } from '../../src/engine/fused';
import { linksFolder } from '../../src/engine/link/record';
import type { Location } from '../../src/engine/locate';
import { fusedNames } from '../../src/nn/fused';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'erta-fused-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A backend whose operations do what `body` says: JavaScript inside `executeSingleOutput(op, attributes, inputs)`. */
function fake(body: string): Location {
  const module = join(folder, 'load.cjs');
  writeFileSync(
    module,
    `module.exports = tf => {
      const cpu = require(${JSON.stringify(require.resolve('@tensorflow/tfjs-backend-cpu'))});
      const { MathBackendCPU } = cpu.shared ? require(${JSON.stringify(require.resolve('@tensorflow/tfjs-backend-cpu/dist/base'))}) : cpu;
      const backend = new MathBackendCPU();
      backend.binding = { TF_Version: '0' };
      backend.executeSingleOutput = (op, attributes, inputs) => { ${body} };
      tf.registerBackend('tensorflow', () => backend);
    };`,
  );
  return { backend: 'tensorflow', module, link: true };
}

test('ERTACACHE_FUSED=0 allows none, without a trial', async () => {
  const nowhere: Location = { backend: 'tensorflow', module: '/nowhere' };
  expect(await usableFused(nowhere, '0', { ERTACACHE_FUSED: '0', ERTACACHE_CACHE: folder })).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test('an operation that ends its process, is refused or gives wrong numbers is not used', async () => {
  const location = fake("if (op === '_MklSwish') process.abort(); throw new Error('unknown');");
  expect(await usableFused(location, '0', { ERTACACHE_CACHE: folder })).toEqual([]);
});

test('what was found is kept, and asked again for another version', async () => {
  const env = { ERTACACHE_CACHE: folder };
  const location = fake("throw new Error('unknown');");
  expect(await usableFused(location, '1', env)).toEqual([]);
  const [file] = readdirSync(linksFolder(env));
  const path = join(linksFolder(env), file!);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ tensorflow: '1', usable: [] });
  writeFileSync(path, JSON.stringify({ tensorflow: '1', usable: [...fusedNames, 'unheard of'] }));
  expect(await usableFused(location, '1', env)).toEqual([...fusedNames]);
  expect(await usableFused(location, '2', env)).toEqual([]);
});
