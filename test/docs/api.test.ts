import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();

test('the reference of every exported name is made without a warning', async () => {
  const typedoc = join(packageRoot(), 'node_modules/typedoc/bin/typedoc');
  const { code, stdout, stderr } = await run(process.execPath, [typedoc, '--out', scratch.path('api')], {
    cwd: packageRoot(),
  });
  expect(`${stdout}${stderr}`).not.toContain('[warning]');
  expect(code).toBe(0);
  expect(existsSync(scratch.path('api', 'functions', 'index.withCache.html'))).toBe(true);
}, 180_000);
