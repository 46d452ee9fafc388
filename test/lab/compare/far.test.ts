import { readdirSync, readFileSync } from 'node:fs';
import { answerCell, answerReferences } from '../../../src/lab/compare/answer-far';
import { runArena } from '../../../src/lab/compare/arena';
import { beginComparison } from '../../../src/lab/compare/begin';
import { type Comparison, comparisonRequestSchema } from '../../../src/lab/compare/comparison';
import { contenderCalled } from '../../../src/lab/compare/contenders';
import { openStore } from '../../../src/lab/compare/disk-store';
import { answeredCellSchema, askedCellSchema, type FarArena } from '../../../src/lab/compare/far';
import type { Pair } from '../../../src/policy/pair';
import type { Pipeline } from '../../../src/sampling/pipeline';
import { scratchFolder } from '../../media/pictures';
import { describeOnBackends } from '../../support/backends';
import { toyPipeline } from './toy';

jest.setTimeout(240_000);

const scratch = scratchFolder();
const pairs = (prefix: string, count: number, seed: number): Pair[] =>
  Array.from({ length: count }, (_, i) => ({ prompt: `${prefix} ${i}`, seed: seed + i }));

const METHODS = ['fewer-steps', 'uniform', 'teacache', 'taylor-searched', 'ertacache'];
const NOWHERE = { command: '', machine: { cpu: '', threads: 1, gpus: [], memoryBytes: 0 }, node: '' };

async function compared(pipeline: Pipeline, folder: string, far?: FarArena): Promise<Comparison> {
  const chosen = METHODS.map(name => contenderCalled(name));
  const asked = {
    ...{ steps: 6, guidance: 1, picture: {}, kind: 'methods' as const, budgets: [4], against: 'ertacache' },
    ...{ calibration: pairs('calibrated', 2, 20), evaluation: pairs('compared', 3, 0), batch: 2, trials: 0 },
    ...{ timed: 0, lpips: null, policies: [] },
  };
  const fresh = beginComparison(pipeline.info, chosen, asked, { ...NOWHERE, engine: { kind: 'cpu', label: 'test' } });
  const store = await openStore(folder, fresh, { force: false });
  return runArena(pipeline, store, { contenders: chosen, ...(far && { far }) });
}

/** Another machine, as far as JSON goes. */
const machine = (pipeline: Pipeline, sends: boolean): FarArena => {
  const { signal } = new AbortController();
  const sent = <T>(value: T): unknown => JSON.parse(JSON.stringify(value));
  return {
    references: request => answerReferences(pipeline, comparisonRequestSchema.parse(sent(request)), signal),
    async cell(asked, pixels) {
      const given = askedCellSchema.parse(sent(asked));
      return answeredCellSchema.parse(sent(await answerCell(pipeline, given, sends ? pixels : undefined, signal)));
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
    expect(here.cells).toHaveLength(5);
    expect(Object.keys(filesOf(near)).length).toBeGreaterThan(30);
    for (const sends of [true, false]) {
      const far = scratch.path(`${backend}-far-${sends}`);
      expect(figures(await compared(pipeline, far, machine(pipeline, sends)))).toEqual(figures(here));
      expect(filesOf(far)).toEqual(filesOf(near));
    }
    pipeline.dispose();
  });
});
