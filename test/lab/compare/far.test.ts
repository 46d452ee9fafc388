import { readdirSync, readFileSync } from 'node:fs';
import { sightingsOf } from '../../../src/calibration/baselines';
import { atMost } from '../../../src/io/at-most';
import { answerPart, answerReferences } from '../../../src/lab/compare/answer-far';
import { runArena } from '../../../src/lab/compare/arena';
import { beginComparison } from '../../../src/lab/compare/begin';
import { type Comparison, comparisonRequestSchema } from '../../../src/lab/compare/comparison';
import { contenderCalled } from '../../../src/lab/compare/contenders';
import { openStore } from '../../../src/lab/compare/disk-store';
import { answeredPartSchema, askedPartSchema, type FarArena } from '../../../src/lab/compare/far';
import type { Pair } from '../../../src/policy/pair';
import type { Pipeline } from '../../../src/sampling/pipeline';
import { scratchFolder } from '../../media/pictures';
import { describeOnBackends } from '../../support/backends';
import { toyPipeline } from './toy';

jest.setTimeout(240_000);

const scratch = scratchFolder();
const pairs = (prefix: string, count: number, seed: number): Pair[] =>
  Array.from({ length: count }, (_, i) => ({ prompt: `${prefix} ${i}`, seed: seed + i }));

const METHODS = ['fewer-steps', 'uniform', 'teacache', 'magcache', 'l2p', 'taylor-searched', 'ertacache'];
const NOWHERE = { command: '', machine: { cpu: '', threads: 1, gpus: [], memoryBytes: 0 }, node: '' };

async function compared(pipeline: Pipeline, folder: string, far?: FarArena): Promise<Comparison> {
  const chosen = METHODS.map(name => contenderCalled(name));
  const asked = {
    ...{ steps: 6, guidance: 1, picture: {}, kind: 'methods' as const, budgets: [4], against: 'ertacache' },
    ...{ calibration: pairs('calibrated', 2, 20), evaluation: pairs('compared', 3, 0), batch: 2, trials: 0 },
    ...{ timed: 1, lpips: null, policies: [] },
  };
  const fresh = beginComparison(pipeline.info, chosen, asked, { ...NOWHERE, engine: { kind: 'cpu', label: 'test' } });
  const store = await openStore(folder, fresh, { force: false });
  return runArena(pipeline, store, { contenders: chosen, ...(far && { far }) });
}

/** Another machine, as far as JSON goes. */
const machine = (pipeline: Pipeline, sends: boolean, asks: string[]): FarArena => {
  const { signal } = new AbortController();
  // Operations are counted in the whole process.
  const alone = atMost(1);
  const sent = <T>(value: T): unknown => JSON.parse(JSON.stringify(value));
  return {
    references: request => answerReferences(pipeline, comparisonRequestSchema.parse(sent(request)), signal),
    sight: (request, wanted) => alone(() => sightingsOf(pipeline, request, wanted)),
    async part(asked, pixels) {
      const given = askedPartSchema.parse(sent(asked));
      const done = await alone(() => answerPart(pipeline, given, { signal, ...(sends && pixels && { pixels }) }));
      asks.push(`${given.request.methods} ${given.part.kind} ${given.request.evaluation.length}`);
      return answeredPartSchema.parse(sent(done));
    },
  };
};

/** All but clocks, and the order in which policies were calibrated. */
function figures({ calibrated = [], ...comparison }: Comparison): unknown {
  const isClock = (key: string): boolean => ['seconds', 'timing', 'started'].includes(key);
  const text = JSON.stringify(comparison, (key, value) => (isClock(key) ? undefined : value));
  return { ...JSON.parse(text), calibrated: [...calibrated].sort() };
}

const filesOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && entry.name !== 'comparison.json')
      .map(entry => `${entry.parentPath}/${entry.name}`)
      .map(path => [path.slice(folder.length), readFileSync(path).toString('base64')]),
  );

describeOnBackends('a comparison by other machines', backend => {
  test('has the figures and the files of one machine, whether pixels are sent or not', async () => {
    const pipeline = toyPipeline();
    const near = scratch.path(`${backend}-near`);
    const here = await compared(pipeline, near);
    expect(here.cells).toHaveLength(METHODS.length);
    expect(Object.keys(filesOf(near)).length).toBeGreaterThan(30);
    for (const sends of [true, false]) {
      const far = scratch.path(`${backend}-far-${sends}`);
      const asks: string[] = [];
      expect(figures(await compared(pipeline, far, machine(pipeline, sends, asks)))).toEqual(figures(here));
      expect(filesOf(far)).toEqual(filesOf(near));
      // A cell is done in several parts: three pairs, two at a time, are two.
      const own = asks.filter(ask => ask.startsWith('teacache'));
      expect(own).toEqual(['teacache prepare 2', 'teacache measure 2', 'teacache measure 1', 'teacache time 1']);
    }
    pipeline.dispose();
  });
});
