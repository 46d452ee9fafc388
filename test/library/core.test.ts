import { readFileSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';
import { parseManifest } from '../../src/weights/manifest';
import { serveFiles } from '../io/http-server';
import { scratchFolder } from '../media/pictures';
import { browser } from '../support/browser';
import { project, requireBuilt, runNode } from './built-package';

const scratch = scratchFolder();
const dist = join(packageRoot(), 'dist');

beforeAll(requireBuilt);

/** What a built file and everything that it loads from beside it imports from elsewhere. */
function imports(file: string, seen = new Map<string, string[]>()): string[] {
  if (!seen.has(file)) {
    const text = readFileSync(file, 'utf8');
    const found = [...text.matchAll(/(?:\bfrom|\bimport|\brequire\()\s*\(?["']([^"'\n]+)["']/g)].map(m => m[1]!);
    seen.set(
      file,
      found.filter(name => !name.startsWith('.')),
    );
    for (const name of found.filter(n => n.startsWith('.'))) imports(join(dirname(file), name), seen);
  }
  return [...new Set([...seen.values()].flat())].sort();
}

test.each(['core.mjs', 'core.cjs'])('%s reaches no module of Node', name => {
  const found = imports(join(dist, name));
  expect(found).toContain('@tensorflow/tfjs-core');
  expect(found.filter(isBuiltin)).toEqual([]);
  expect(found.filter(n => /sharp|backend|h264|vega|commander/.test(n))).toEqual([]);
  // The walk does see such modules where they are.
  expect(imports(join(dist, name.replace('core', 'index'))).filter(isBuiltin)).not.toEqual([]);
});

/** A page's program: calibrates a function, stores the policy, reads it, and samples with it. */
const PAGE = `
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { calibrate, deserializePolicy, sampleLatents, serializePolicy } from 'ertacache';

async function main() {
  await tf.setBackend('cpu');
  const velocity = (x, t) => tf.mul(tf.sin(tf.add(x, t)), 1.5 - t);
  const sigmas = [1, 0.8, 0.6, 0.4, 0.2, 0];
  const latents = tf.randomNormal([4, 3], 0, 1, 'float32', 1);
  const policy = await calibrate(velocity, { runs: [{ latents }], sigmas, schedule: { computed: 3, trials: 2 } });
  const { json, coefficients } = await serializePolicy(policy);
  const read = await deserializePolicy(json, async name => ({ name, bytes: coefficients }));
  const { schedule, forwards } = await sampleLatents(velocity, latents, { sigmas, policy: read });
  return schedule + ' ' + forwards;
}
const say = text => {
  document.body.textContent = text;
};
main().then(text => say('done ' + text), error => say('failed ' + error.stack));
`;

/** A page's program: loads a model from a server. */
const MODEL_PAGE = `
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { httpFolder, loadPipeline, openModel } from 'ertacache';

async function main() {
  await tf.setBackend('cpu');
  const model = await openModel(httpFolder(window.address));
  const { info, textLoss } = await loadPipeline(model);
  return [info.id, info.hash, info.parameters, (await textLoss({ prompts: ['red heart'], guidance: 1 })).length].join(' ');
}
const say = text => {
  document.body.textContent = text;
};
main().then(text => say('done ' + text), error => say('failed ' + error.stack));
`;

/** Runs a page's script where nothing of Node is at hand, only what browsers have too. */
async function runWithoutNode(script: string, address = ''): Promise<string> {
  writeFileSync(scratch.path('page.js'), script);
  writeFileSync(
    scratch.path('run.cjs'),
    `const names = ['crypto', 'performance', 'setTimeout', 'clearTimeout', 'TextEncoder', 'TextDecoder', 'URL', 'atob',
       'fetch', 'Response'];
     const window = Object.fromEntries(names.map(name => [name, globalThis[name]]));
     window.window = window;
     window.address = ${JSON.stringify(address)};
     window.navigator = { userAgent: '' };
     window.document = { body: { set textContent(text) { console.log(text); } } };
     require('node:vm').runInNewContext(require('node:fs').readFileSync('page.js', 'utf8'), window);`,
  );
  return runNode(scratch.path(), 'run.cjs');
}

/** Bundles a page for browsers into one classic script. */
async function bundled(page: string): Promise<string> {
  const rolldown = join(packageRoot(), 'node_modules/rolldown/dist/index.mjs');
  project(scratch.path(), {
    'page.mjs': page,
    'bundle.mjs': [
      `import { rolldown } from ${JSON.stringify(rolldown)};`,
      'const warnings = [];',
      "const onLog = (level, { code, message }) => code === 'UNRESOLVED_IMPORT' && warnings.push(message);",
      "const bundle = await rolldown({ input: 'page.mjs', platform: 'browser', onLog });",
      "await bundle.write({ file: 'page.js', format: 'iife', inlineDynamicImports: true });",
      "if (warnings.length > 0) throw new Error(warnings.join('\\n'));",
    ].join('\n'),
  });
  await runNode(scratch.path(), 'bundle.mjs');
  return readFileSync(scratch.path('page.js'), 'utf8');
}

test('a bundle for browsers takes the core, and runs without Node', async () => {
  const script = await bundled(PAGE);
  expect(script).not.toMatch(/["']node:/);
  expect(await runWithoutNode(script)).toMatch(/^done #[#.]{4} 3\n$/);
}, 120_000);

test('without Node it loads a model from a server', async () => {
  const server = await serveFiles();
  try {
    const folder = join(packageRoot(), 'converted-models/fluent-emoji');
    const { files, shards, constants } = parseManifest(readFileSync(join(folder, 'model.json'), 'utf8'), 'model.json');
    for (const path of ['model.json', ...[...files, ...shards, ...constants].map(file => file.path)]) {
      server.files.set(`models/fluent-emoji/${path}`, { bytes: readFileSync(join(folder, path)) });
    }
    const printed = await runWithoutNode(await bundled(MODEL_PAGE), `${server.address}/models/fluent-emoji`);
    expect(printed).toMatch(/^done fluent-emoji [0-9a-f]{64} \d+ 0\n$/);
  } finally {
    await server.close();
  }
}, 120_000);

(browser ? test : test.skip)(
  `runs in a browser${browser ? '' : ' (there is no Chromium here)'}`,
  async () => {
    const script = (await bundled(PAGE)).replaceAll('</script', '<\\/script');
    writeFileSync(scratch.path('page.html'), `<!doctype html><body>waiting</body><script>${script}</script>`);
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=20000', '--dump-dom'];
    const { stdout } = await run(browser!, [...flags, `file://${scratch.path('page.html')}`], {});
    expect(stdout).toMatch(/<body>done #[#.]{4} 3<\/body>/);
  },
  120_000,
);
