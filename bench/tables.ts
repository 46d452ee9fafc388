/**
 * Makes every table of docs/results.md, or says what that would cost.
 *
 *   node bench/run.cjs bench/tables.ts                          forward passes and processor time, nothing is run
 *   npm run build && node bench/run.cjs bench/tables.ts --run policies,emoji-g3   (or --run all)
 *
 * `policies` calibrates those that are compared, into calibration/. Comparisons go to samples/tables/NAME, with NAME.md
 * beside it: the tables as Markdown. What is complete is not run again, what was cut goes on.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { splitPairs } from '../src/calibration/pairs';
import { DEFAULT_WORST_WEIGHT } from '../src/calibration/quality';
import { selectBackend } from '../src/engine/select';
import type { Bench } from '../src/lab/compare/bench';
import type { Passes } from '../src/lab/compare/contender';
import { contenders } from '../src/lab/compare/contenders';
import { estimateSeconds } from '../src/lab/compare/estimate';
import { loadModel } from '../src/pipelines/load';

const CLI = 'dist/cli.mjs';
const OUT = 'samples/tables';

/** A comparison of all methods. */
interface Table {
  readonly name: string;
  readonly model: string;
  readonly guidance: number;
  readonly budgets: readonly number[];
  readonly pairs: number;
  readonly calibration: number;
  readonly batch: number;
}

const STEPS = 30;
/** Share of the calibration pairs of a policy whose prompts are unusual, and pairs that it is measured on. */
const MIXTURE = 0.25;
const HELD_OUT = 128;

const emoji = { model: 'fluent-emoji', budgets: [15, 10, 8, 6], pairs: 256, calibration: 96, batch: 8 };
const tables: readonly Table[] = [
  { ...emoji, name: 'emoji-g3', guidance: 3 },
  { ...emoji, name: 'emoji-g1', guidance: 1 },
  {
    name: 'clips',
    model: 'fluent-emoji-video',
    guidance: 2,
    budgets: [15, 10],
    pairs: 256,
    calibration: 32,
    batch: 4,
  },
];

const policyPath = ({ model, guidance }: Table, computed: number): string =>
  join('calibration', `${model}-${STEPS}steps-g${guidance}-${computed}.json`);

function calibrateArguments(table: Table, computed: number): string[] {
  return [
    ...['calibrate', '--model', table.model, '--guidance', String(table.guidance)],
    ...['--target-speedup', String(STEPS / computed), '--pairs', String(table.calibration)],
    ...['--held-out', String(HELD_OUT), '--batch', String(table.batch), '--mixture', String(MIXTURE)],
    ...['--worst-weight', String(DEFAULT_WORST_WEIGHT), '--out', policyPath(table, computed)],
  ];
}

function compareArguments(table: Table): string[] {
  const policies = table.budgets.map(budget => policyPath(table, budget)).filter(path => existsSync(path));
  return [
    ...['compare', '--model', table.model, '--guidance', String(table.guidance)],
    ...['--budgets', table.budgets.join(','), '--pairs', String(table.pairs)],
    ...['--calibration-pairs', String(table.calibration), '--batch', String(table.batch), '--timed-pairs', '0'],
    ...(policies.length > 0 ? ['--policy', ...policies] : []),
    ...['--out', join(OUT, table.name), '--markdown'],
  ];
}

/** What a table costs at most, in forward passes of one pair; of the comparison alone. */
function passesOf({ budgets, pairs, calibration, batch }: Table): Passes {
  const bench = { steps: STEPS, pairs: Array(calibration).fill({}), batch, trials: 0 } as unknown as Bench;
  const sum = { batched: pairs * STEPS, single: 0 };
  for (const computed of budgets) {
    for (const contender of contenders) {
      const cost = contender.cost({ steps: STEPS, computed }, bench);
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
    const passes = passesOf(table);
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

function run(words: readonly string[]): string {
  console.error(`ertacache ${words.join(' ')}`);
  const { status, stdout } = spawnSync(process.execPath, [CLI, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`ertacache ${words[0]} ended with ${status}.`);
  return stdout;
}

async function main(): Promise<void> {
  const { values: given } = parseArgs({ options: { run: { type: 'string' } } });
  if (given.run === undefined) return estimate();
  const wanted = given.run === 'all' ? ['policies', ...tables.map(t => t.name)] : given.run.split(',');
  mkdirSync(OUT, { recursive: true });
  if (wanted.includes('policies')) {
    for (const table of tables) {
      for (const budget of table.budgets) console.log(run(calibrateArguments(table, budget)));
    }
  }
  for (const table of tables.filter(t => wanted.includes(t.name))) {
    writeFileSync(join(OUT, `${table.name}.md`), run(compareArguments(table)));
  }
}

void main();
