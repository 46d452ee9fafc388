import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

const CPU = JSON.stringify(require.resolve('@tensorflow/tfjs-backend-cpu'));

/** A backend whose operations do what `body` says, in JavaScript. */
function fake(body: string): Location {
  const module = join(folder, 'load.cjs');
  writeFileSync(
    module,
    `module.exports = tf => {
      const backend = new (require(${CPU}).MathBackendCPU)();
      backend.binding = { TF_Version: '0' };
      backend.executeSingleOutput = (op, attributes, inputs) => { ${body} };
      tf.registerBackend('tensorflow', () => backend);
    };`,
  );
  return { backend: 'tensorflow', module, link: true };
}
const SWISH =
  "if (op === '_MklSwish') return tf.tensor(inputs[0].dataSync().map(v => v / (1 + Math.exp(-v))), inputs[0].shape);";

test('ERTACACHE_FUSED=0 allows none, without a trial', async () => {
  const nowhere: Location = { backend: 'tensorflow', module: '/nowhere' };
  expect(await usableFused(nowhere, '0', { ERTACACHE_FUSED: '0', ERTACACHE_CACHE: folder })).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test('an operation that ends its process, is refused or gives wrong numbers is not used, the others are', async () => {
  const others = "if (op === '_MklMatMul') process.abort(); if (op === '_MklSoftmax') throw new Error('unknown');";
  const location = fake(`${SWISH} ${others} return inputs[0];`);
  expect(await usableFused(location, '0', { ERTACACHE_CACHE: folder })).toEqual(['swish']);
});

test('what was found is kept, and asked again for another version', async () => {
  const env = { ERTACACHE_CACHE: folder };
  const location = fake(`${SWISH} throw new Error('unknown');`);
  expect(await usableFused(location, '1', env)).toEqual(['swish']);
  const [file] = readdirSync(linksFolder(env));
  const path = join(linksFolder(env), file!);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ tensorflow: '1', usable: ['swish'] });
  writeFileSync(path, JSON.stringify({ tensorflow: '1', usable: [...fusedNames, 'unheard of'] }));
  expect(await usableFused(location, '1', env)).toEqual([...fusedNames]);
  expect(await usableFused(location, '2', env)).toEqual(['swish']);
});

test('what a child found that was stopped from outside is not kept', async () => {
  const env = { ERTACACHE_CACHE: folder };
  const marker = join(folder, 'there is time');
  const stopped = `if (op === '_MklSwish' && !require('node:fs').existsSync(${JSON.stringify(marker)})) process.kill(process.pid, 'SIGKILL');`;
  const location = fake(`${stopped} ${SWISH} throw new Error('unknown');`);
  expect(await usableFused(location, '1', env)).toEqual([]);
  expect(existsSync(linksFolder(env))).toBe(false);
  writeFileSync(marker, '');
  expect(await usableFused(location, '1', env)).toEqual(['swish']);
  expect(readdirSync(linksFolder(env))).toHaveLength(1);
});

test('a result that was cut as its child ended counts as none', async () => {
  const cut = "if (op === '_MklMatMul') { require('node:fs').writeSync(1, '\\ntrial [0.25,-1.'); process.abort(); }";
  const location = fake(`${cut} ${SWISH} throw new Error('unknown');`);
  expect(await usableFused(location, '0', { ERTACACHE_CACHE: folder })).toEqual(['swish']);
});

test('a backend that cannot be opened has none', async () => {
  const nowhere: Location = { backend: 'tensorflow', module: join(folder, 'nowhere.cjs') };
  expect(await usableFused(nowhere, '0', { ERTACACHE_CACHE: folder })).toEqual([]);
});
