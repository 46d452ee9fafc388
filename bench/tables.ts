/**
 * Makes the tables of docs/results.md that compare methods, or says what that would cost.
 *
 *   node bench/run.cjs bench/tables.ts                                  forward passes and hours, nothing is run
 *   npm run build && node bench/run.cjs bench/tables.ts --run emoji-g3  (or several, or all) [--part 0/2] [--threads 1]
 *
 * A table is made in parts, which several processes can share: `--part 0/2` takes every other one, `--part 1/2` the rest.
 * Each part is a comparison in samples/tables; `bench/across.ts samples/tables/NAME-*` joins those of a table. What is
 * complete is not run again, what was cut goes on.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { splitPairs } from '../src/calibration/pairs';
import { selectBackend } from '../src/engine/select';
import type { Bench } from '../src/lab/compare/bench';
import type { Passes } from '../src/lab/compare/contender';
import { contenderCalled } from '../src/lab/compare/contenders';
import { estimateSeconds } from '../src/lab/compare/estimate';
import { loadModel } from '../src/pipelines/load';

const CLI = 'dist/cli.mjs';
const OUT = 'samples/tables';
const STEPS = 30;

/** A comparison of all methods. */
interface Table {
  readonly name: string;
  readonly model: string;
  readonly guidance: number;
  /** Computed steps, in groups that are compared in one run, and the policies of ERTACache there. */
  readonly budgets: readonly { readonly computed: readonly number[]; readonly policies: readonly string[] }[];
  readonly pairs: number;
  /** Pairs on which what a method leaves open is chosen. */
  readonly calibration: number;
  /** Pairs that the policies of ERTACache were calibrated on. */
  readonly fitted: number;
  readonly batch: number;
}

/** Methods that are compared in one run. */
interface Group {
  readonly methods: readonly string[];
  /** Pairs that their settings are chosen on: those of the table, or the larger number that our policies were fitted on. */
  readonly on: 'calibration' | 'fitted';
  /** Whether those that go by a schedule of ERTACache get that of its policies, or one searched on the pairs. */
  readonly policies: boolean;
}

const group = (methods: readonly string[], on: Group['on'] = 'calibration', policies = true): Group => ({
  methods,
  on,
  policies,
});

/** MeanCache and L2P are fitted in two ways, `d` and `f`; `bench/across.ts` shows the better one. */
const groups: Readonly<Record<string, Group>> = {
  a: group(['fewer-steps', 'uniform', 'teacache', 'magcache', 'taylorseer-lite', 'taylorseer']),
  b: group(['zeus', 'dmd', 'seacache', 'fbcache']),
  c: group(['hicache', 'spectrum', 'fewer-steps-searched', 'multistep-searched']),
  d: group(['meancache', 'l2p'], 'calibration', false),
  e: group(['ertacache-paper', 'ertacache-paper-untimed']),
  f: group(['meancache', 'l2p'], 'fitted'),
  t: group(['ertacache', 'taylor-searched']),
};

/** Those of a model that ship; a budget that has none is calibrated. */
const shipped = (model: string, guidance: number, ...budgets: (number | string)[]): string[] =>
  budgets
    .map(budget => join('calibration', `${model}-${STEPS}steps-g${guidance}-${budget}.json`))
    .filter(path => existsSync(path));

/** @param fewer the budgets below 10, and whether their policies are those of the file of all budgets */
const emoji = (guidance: number, ...fewer: readonly [computed: number[], policies: number | string][]): Table => ({
  name: `emoji-g${guidance}`,
  model: 'fluent-emoji',
  guidance,
  budgets: [
    { computed: [15, 10], policies: shipped('fluent-emoji', guidance, 15, 10) },
    ...fewer.map(([computed, policies]) => ({ computed, policies: shipped('fluent-emoji', guidance, policies) })),
  ],
  pairs: 256,
  calibration: 32,
  fitted: 96,
  batch: 16,
});

const tables: readonly Table[] = [
  emoji(3, [[8], 8], [[6], 'budgets']),
  emoji(1, [[8, 6], 'budgets']),
  {
    name: 'clips',
    model: 'fluent-emoji-video',
    guidance: 2,
    budgets: [{ computed: [15, 10], policies: shipped('fluent-emoji-video', 2, 15, 10) }],
    pairs: 256,
    calibration: 8,
    fitted: 24,
    batch: 4,
  },
];

/** A run of `compare`. */
interface Part {
  readonly table: Table;
  readonly budgets: Table['budgets'][number];
  readonly methods: readonly string[];
  readonly calibration: number;
  readonly policies: readonly string[];
  readonly out: string;
}

/** Whether any of the methods goes by ERTACache's policies. */
const usesPolicies = (methods: readonly string[]): boolean =>
  methods.map(name => contenderCalled(name)).some(({ name, after }) => [name, after].includes('ertacache'));

const partsOf = (table: Table): Part[] =>
  table.budgets.flatMap(budgets =>
    Object.entries(groups).map(([name, { methods, on, policies }]) => ({
      table,
      budgets,
      methods,
      calibration: table[on],
      policies: policies && usesPolicies(methods) ? budgets.policies : [],
      out: join(OUT, [table.name, ...budgets.computed, name].join('-')),
    })),
  );

function compareArguments({ table, budgets, methods, calibration, policies, out }: Part): string[] {
  return [
    ...['compare', '--model', table.model, '--guidance', String(table.guidance)],
    ...['--budgets', budgets.computed.join(','), '--pairs', String(table.pairs), '--methods', methods.join(',')],
    ...['--calibration-pairs', String(calibration), '--batch', String(table.batch), '--timed-pairs', '0'],
    ...(policies.length > 0 ? ['--policy', ...policies] : []),
    ...['--out', out],
  ];
}

/** What a part costs at most, in forward passes of one pair. */
function passesOf({ table: { pairs, batch }, calibration, budgets, methods }: Part): Passes {
  const bench = { steps: STEPS, pairs: Array(calibration).fill({}), batch, trials: 0 } as unknown as Bench;
  const sum = { batched: pairs * STEPS, single: 0 };
  for (const computed of budgets.computed) {
    for (const contender of methods.map(name => contenderCalled(name))) {
      const given = contender.name === 'ertacache';
      const cost = given ? { batched: 0, single: 0 } : contender.cost({ steps: STEPS, computed }, bench);
      sum.batched += cost.batched + (contender.dynamic ? 0 : pairs * computed);
      sum.single += cost.single + (contender.dynamic ? pairs * computed : 0);
    }
  }
  return sum;
}

async function estimate(): Promise<void> {
  console.log((await selectBackend('auto')).label);
  for (const table of tables) {
    const model = await loadModel(table.model);
    const some = splitPairs(model.info.prompts, table.batch, 0).calibration;
    const parts = partsOf(table).map(passesOf);
    const passes = {
      batched: parts.reduce((sum, { batched }) => sum + batched, 0),
      single: parts.reduce((sum, { single }) => sum + single, 0),
    };
    const [clock, used] = [performance.now(), process.cpuUsage()];
    const seconds = await estimateSeconds(model, some, passes, table);
    const spent = process.cpuUsage(used);
    // Processors at work during the trial; on a busy machine fewer than it has.
    const busy = (spent.user + spent.system) / 1000 / (performance.now() - clock);
    const total = (passes.batched + passes.single).toLocaleString('en-US');
    const hours = (value: number): string => (value / 3600).toFixed(1);
    console.log(
      `${table.name}: at most ${total} forward passes, ${hours(seconds)} h at today's speed, ${hours(seconds * busy)} h of processor time`,
    );
    model.dispose();
  }
}

function run(words: readonly string[]): void {
  console.error(`ertacache ${words.join(' ')}`);
  const { status } = spawnSync(process.execPath, [CLI, ...words], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`ertacache ${words[0]} ended with ${status}.`);
}

async function main(): Promise<void> {
  const { values: given } = parseArgs({
    options: {
      run: { type: 'string' },
      part: { type: 'string', default: '0/1' },
      threads: { type: 'string' },
    },
  });
  if (given.run === undefined) return estimate();
  const [share = 0, of = 1] = given.part.split('/').map(Number);
  const wanted = given.run === 'all' ? tables.map(({ name }) => name) : given.run.split(',');
  const parts = tables.filter(({ name }) => wanted.includes(name)).flatMap(partsOf);
  mkdirSync(OUT, { recursive: true });
  for (const part of parts.filter((_, i) => i % of === share)) {
    run([...compareArguments(part), ...(given.threads ? ['--threads', given.threads] : [])]);
  }
}

void main();
