const { readdirSync } = require('node:fs');
const { join } = require('node:path');

/**
 * The rooms of `src`, from the bottom of the house to the top. A file may import from its own room and from rooms below;
 * ARCHITECTURE.md says what each is for.
 */
const ROOMS = [
  ['errors', '^src/(errors|printable|version)[.]ts$'],
  ['io', '^src/io/'],
  ['random', '^src/random/'],
  ['nn', '^src/nn/'],
  ['engine', '^src/engine/'],
  ['weights', '^src/weights/'],
  ['text', '^src/text/'],
  ['media', '^src/media/'],
  ['metrics', '^src/metrics/'],
  ['transformer', '^src/transformer/'],
  ['schedulers', '^src/schedulers/'],
  ['cache', '^src/cache/'],
  ['policy', '^src/policy/'],
  ['sampling', '^src/sampling/'],
  ['models', '^src/models/'],
  ['pipelines', '^src/pipelines/'],
  ['draw', '^src/draw/'],
  ['calibration', '^src/calibration/'],
  ['export', '^src/lab/export/'],
  ['verify', '^src/lab/verify/'],
  ['timing', '^src/lab/timing/'],
  ['compare', '^src/lab/compare/'],
  ['report', '^src/lab/report/'],
  ['browser', '^src/browser/'],
  ['server', '^src/server/'],
  ['fleet', '^src/fleet/'],
  ['entries', '^src/entries/'],
  ['cli', '^src/cli([.]ts$|/)'],
];

const SHARED = ['text', 'vae'];
const FAMILIES = readdirSync(join(process.cwd(), 'src/models'), { withFileTypes: true })
  .filter(entry => entry.isDirectory() && !SHARED.includes(entry.name))
  .map(entry => entry.name)
  .join('|');
/** What runs in browsers is reached from these alone. */
const BROWSER_SAFE =
  '^src/(entries/(core|cache|models|browser)[.]ts$|browser/|sampling/|models/|cache/|transformer/|schedulers/|nn/|random/)';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...ROOMS.map(([name, path], i) => ({
      name: `${name}-imports-from-below`,
      comment: `${name} may import from the rooms below it only.`,
      severity: 'error',
      from: { path },
      to: { path: ROOMS.slice(i + 1).map(([, above]) => above) },
    })).filter(rule => rule.to.path.length > 0),
    {
      name: 'a-room-for-every-file',
      comment: 'Every file of src belongs to a room of this list.',
      severity: 'error',
      from: { path: '^src/', pathNot: ROOMS.map(([, path]) => path) },
      to: {},
    },
    {
      name: 'no-circle',
      comment: 'No file reaches itself through its imports.',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'families-stand-apart',
      comment: 'A family imports from no other family: what two need is shared in models/, models/text or models/vae.',
      severity: 'error',
      from: { path: `^src/models/(${FAMILIES})/` },
      to: { path: `^src/models/(${FAMILIES})/`, pathNot: '^src/models/$1/' },
    },
    {
      name: 'runs-anywhere',
      comment: 'Rooms that browsers use import no module of Node.',
      severity: 'error',
      from: { path: BROWSER_SAFE },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-test-in-product',
      comment: 'The product does not import its tests.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|examples)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.cjs', '.mjs', '.js', '.json'] },
  },
};
