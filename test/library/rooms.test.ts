import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();
const root = packageRoot();

/** Runs the check of the rooms on a small house of these files. */
async function check(files: Readonly<Record<string, string>>): Promise<{ code: number | null; text: string }> {
  const house = { 'src/models/flux/index.ts': '', 'src/models/wan/index.ts': '', ...files };
  for (const [name, text] of Object.entries(house)) {
    mkdirSync(dirname(scratch.path(name)), { recursive: true });
    writeFileSync(scratch.path(name), text);
  }
  writeFileSync(scratch.path('tsconfig.json'), '{}');
  const cruiser = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const config = join(root, '.dependency-cruiser.cjs');
  const { code, stdout, stderr } = await run(process.execPath, [cruiser, 'src', '--config', config], {
    cwd: scratch.path(),
  });
  return { code, text: `${stdout}${stderr}` };
}

const layer = 'export const layer = 1;';

test('a house whose imports run down passes', async () => {
  const { code, text } = await check({
    'src/nn/layer.ts': layer,
    'src/models/flux/index.ts': "import { layer } from '../../nn/layer';\nexport const flux = layer;",
  });
  expect(text).toContain('no dependency violations found');
  expect(code).toBe(0);
});

test.each([
  [
    'an import that runs up',
    {
      'src/nn/layer.ts': "import { flux } from '../models/flux';\nexport const layer = flux;",
      'src/models/flux/index.ts': 'export const flux = 1;',
    },
    'nn-imports-from-below',
  ],
  [
    'a circle',
    {
      'src/nn/a.ts': "import { b } from './b';\nexport const a = () => b;",
      'src/nn/b.ts': "import { a } from './a';\nexport const b = () => a;",
    },
    'no-circle',
  ],
  [
    'a family that needs another one',
    {
      'src/models/flux/index.ts': "import { wan } from '../wan';\nexport const flux = wan;",
      'src/models/wan/index.ts': 'export const wan = 1;',
    },
    'families-stand-apart',
  ],
  [
    'a module of Node where browsers go',
    { 'src/sampling/loop.ts': "import 'node:fs';\nexport const loop = 1;" },
    'runs-anywhere',
  ],
  [
    'a file in no room',
    { 'src/attic/box.ts': "import '../nn/layer';", 'src/nn/layer.ts': layer },
    'a-room-for-every-file',
  ],
])('%s is refused', async (_, files, rule) => {
  const { code, text } = await check(files);
  expect(text).toContain(rule);
  expect(code).not.toBe(0);
});
