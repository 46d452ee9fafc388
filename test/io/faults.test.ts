/**
 * Every command that writes, run with each of its changes of the disk failing in turn: what is the user's stays as it
 * was, no name ever holds half a file, and the next run gives what an uninterrupted one does. By default a few changes
 * of each command are tried. ERTACACHE_ALL_FAULTS=1 tries them all with every fault, which takes hours;
 * ERTACACHE_ALL_FAULTS=turn tries them all with the faults in turn.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { self } from '../../src/io/owner';
import { writeEmbeddings } from '../../src/pipelines/embeddings-file';
import { usableBackends } from '../support/backends';
import { command } from '../weights/command';
import { numbers, REPOSITORY, startHub } from '../weights/hub';
import { FAULTS, withFault } from './faults';
import { isUnmeasured, plain, put, settled, tree } from './tree';

jest.mock('../../src/pipelines/load', () => ({
  ...jest.requireActual('../../src/pipelines/load'),
  // What is drawn does not matter here, and a toy draws it in no time.
  loadModel: async () => jest.requireActual('../support/toy-pipeline').toyPipeline(),
}));
const { ERTACACHE_ALL_FAULTS: all } = process.env;
const TRIED = all ? Number.POSITIVE_INFINITY : 6;
const EACH = all === '1';
jest.setTimeout(all ? 86_400_000 : 1_200_000);

const chance = numbers(11);

interface Case {
  /** The command's own part of the folder is `out…`; everything else is the user's. */
  run(folder: string): Promise<unknown>;
  /** What is there before: of the user's, beside that of every case. */
  readonly foreign?: Readonly<Record<string, string>>;
  /** Runs before, to have something to replace. */
  before?(folder: string): Promise<unknown>;
}

const run = async (...args: string[]): Promise<void> => {
  const { code, stderr } = await command('--backend', usableBackends()[0] as string, ...args);
  if (code !== 0) throw new Error(stderr);
};
const sample = (...args: string[]) => run('sample', 'red heart', '--steps', '2', '--policy', 'none', ...args);
const good = resolve(__dirname, '../fixtures/bad/good');
const wan = resolve(__dirname, '../fixtures/transformers/wan_square/weights.safetensors');
const shipped = resolve(__dirname, '../../calibration/fluent-emoji-30steps-g3-15.json');
const embeddings = (folder: string) =>
  writeEmbeddings(join(folder, 'out.safetensors'), { prompts: ['a'], encoders: {}, entries: [] });
const COMPARE = ['--pairs', '1', '--calibration-pairs', '1', '--steps', '4', '--budgets', '2', '--timed-pairs', '0'];
const compare = (folder: string, ...more: string[]) =>
  run('compare', ...COMPARE, '--methods', 'uniform,ertacache', '--out', join(folder, 'out'), ...more);
const CALIBRATE = ['--steps', '4', '--pairs', '1', '--held-out', '0', '--search', 'walk'];

let hub: Awaited<ReturnType<typeof startHub>>['hub'];
let server: Server;
beforeAll(async () => {
  ({ hub, server } = await startHub());
  process.env.HF_ENDPOINT = hub.endpoint;
});
afterAll(() => {
  delete process.env.HF_ENDPOINT;
  server.closeAllConnections();
  server.close();
});

const cases: Readonly<Record<string, Case>> = {
  'a PNG file': { run: folder => sample('--out', join(folder, 'out.png')) },
  'a WebP file over another': {
    before: folder => sample('--seed', '1', '--out', join(folder, 'out.webp')),
    run: folder => sample('--out', join(folder, 'out.webp')),
  },
  'a GIF file and its receipt': { run: folder => sample('--out', join(folder, 'out.gif')) },
  'an MP4 file and its receipt over others': {
    before: folder => sample('--seed', '1', '--out', join(folder, 'out.mp4')),
    run: folder => sample('--out', join(folder, 'out.mp4')),
  },
  'a folder of frames over another': {
    before: folder => sample('--seed', '1', '--out', join(folder, 'out/')),
    run: folder => sample('--out', join(folder, 'out/')),
  },
  'several pictures': { run: folder => sample('--num-images', '2', '--out-dir', join(folder, 'out')) },
  embeddings: { run: embeddings },
  'a converted model': { run: folder => run('convert', good, join(folder, 'out/deep')) },
  'a converted model over another, among files of the user': {
    before: async folder => {
      await run('convert', good, join(folder, 'out'), '--dtype', 'float32');
      put(folder, { 'out/NOTES.md': 'mine', 'out/more/a.txt': 'mine too' });
    },
    run: folder => run('convert', good, join(folder, 'out'), '--force'),
    foreign: { 'out/NOTES.md': 'mine', 'out/more/a.txt': 'mine too' },
  },
  'an exported model': { run: folder => run('export', wan, join(folder, 'out'), '--shard-bytes', '100000') },
  'a download': {
    run: folder => run('download', REPOSITORY, '--out', join(folder, 'out')),
    foreign: { 'out/mine.txt': 'mine', 'out/transformer/weights.safetensors.partial': 'mine' },
  },
  'a calibrated policy': {
    run: folder => run('calibrate', ...CALIBRATE, '--out', join(folder, 'out.json')),
  },
  'a calibrated policy over another': {
    before: folder => run('calibrate', ...CALIBRATE, '--rectify', 'linear', '--out', join(folder, 'out.json')),
    run: folder => run('calibrate', ...CALIBRATE, '--out', join(folder, 'out.json')),
  },
  'measured facts': {
    run: folder => run('calibrate', ...CALIBRATE, '--method', 'magcache', '--out', join(folder, 'out.json')),
  },
  'a resampled policy': {
    run: folder => run('policy', 'resample', shipped, '--steps', '20', '--out', join(folder, 'out.json')),
  },
  'a comparison': { run: compare },
  'a comparison begun anew': {
    before: async folder => {
      await compare(folder, '--guidance', '1');
      put(folder, { 'out/images/reference/mine.png': 'mine' });
    },
    run: folder => compare(folder, '--force'),
    foreign: { 'out/images/reference/mine.png': 'mine' },
  },
};

/** The user's, in every folder: names that look like those that ertacache uses. */
const FOREIGN = {
  'notes.txt': 'mine',
  '.out.png.partial': 'mine',
  'out.partial/a': 'mine',
  'out.123.partial/model.json': 'mine',
  'out.png.json': 'mine',
  'images/a.png': 'mine',
  'policies/a.json': 'mine',
  'references/a': 'mine',
};

/** The changes to try: all, or some by a seeded choice. */
function chosen(count: number): number[] {
  const all = Array.from({ length: count }, (_, i) => i + 1);
  while (all.length > TRIED) all.splice(Math.floor(chance() * all.length), 1);
  return all;
}

describe.each(Object.entries(cases))('%s', (_, { run: work, before, foreign = {} }) => {
  const mine = { ...FOREIGN, ...foreign };
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ertacache-faults-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  async function prepared(name: string): Promise<string> {
    const folder = join(root, name);
    mkdirSync(folder);
    await before?.(folder);
    put(folder, mine);
    return folder;
  }

  function expectMine(files: ReadonlyMap<string, string>): void {
    for (const [path, content] of Object.entries(mine)) expect([path, files.get(path)]).toEqual([path, content]);
  }

  test('however a change of the disk fails, nothing is lost and the next run is as the first', async () => {
    const folder = await prepared('whole');
    const earlier = plain(tree(folder));
    const { count, error } = await withFault(() => work(folder));
    expect(error).toBeUndefined();
    expect(count).toBeGreaterThan(3);
    const whole = plain(tree(folder));
    expectMine(whole);
    expect([...settled(folder).keys()]).toEqual([...whole.keys()]);

    for (const [i, n] of chosen(count).entries()) {
      const faults = EACH ? FAULTS : [FAULTS[i % FAULTS.length]!];
      for (const fault of faults) {
        const where = `${fault} at ${n} of ${count}`;
        const cut = await prepared(`${n}-${fault}`);
        const { error: failed } = await withFault(() => work(cut), n, fault);
        // A later run is another process, also after an error.
        self.start = String(Number(self.start) + 1);
        const left = plain(settled(cut));
        for (const [path, content] of left) {
          if (/comparison\.json$|ertacache-download\.json$|^out\/references\//.test(path)) continue;
          const known = [whole.get(path), earlier.get(path), (mine as Record<string, string>)[path]];
          const isKnown = known.includes(content) || isUnmeasured(content, whole.get(path));
          expect([where, path, isKnown]).toEqual([where, path, true]);
        }
        // A folder that is killed between two renames returns with the next run.
        if (fault !== 'kill') expectMine(tree(cut));
        if (failed) {
          await work(cut).catch(again => {
            throw new Error(`${where}: ${again.message}`);
          });
        }
        // What could not be cleared up, where all else went well, is left to the next run.
        const after = failed ? tree(cut) : settled(cut);
        expect([where, Object.fromEntries(plain(after))]).toEqual([where, Object.fromEntries(whole)]);
        rmSync(cut, { recursive: true });
      }
    }
  });
});
