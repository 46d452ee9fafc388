/**
 * Measures the tables of bench/README.md that depend on how fast the machine is, and writes them there. Runs take turns;
 * before each turn it waits for others to leave the machine alone, and a figure for which they did not is marked.
 *
 *   npm run bench:all -- [--quick] [--only wasm,pictures] [--python PATH] [--patience SECONDS] [--print]
 *
 * `--quick` takes fewer runs (about 20 minutes on 2 cores instead of an hour). `--only` takes some of the tables. PATH is a
 * Python with `torch`, `safetensors`, `diffusers` and `transformers`; without one, the tables beside PyTorch are left out, and
 * so are the cases that want a library that it lacks.
 * `--patience` is how long each comparison may wait for quiet (60). `--print` changes no file.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from '../src/metrics/statistics';
import { type Arm, measureArms, type Work } from './measure/arms';
import { machineLine, torchVersion } from './measure/machine';
import { markdown, type Row, writeTable } from './measure/readme';
import { type Middle, ratio } from './measure/turns';
import type { Profile } from './profile';
import type { Result } from './vs-pytorch';

const { values: given } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    python: { type: 'string' },
    patience: { type: 'string', default: '60' },
    print: { type: 'boolean', default: false },
  },
});

const README = resolve(__dirname, 'README.md');
const cores = availableParallelism();
const patience = Number(given.patience);
/** Runs of a table, in turns. */
const runs = (many: number, quick: number): number => (given.quick ? quick : many);

const ms = (seconds: number): string => `${(1000 * seconds).toFixed(seconds < 0.1 ? 1 : 0)} ms`;
const between = ({ middle, low, high }: Middle, busy: boolean): string =>
  `${middle.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})${busy ? ' busy' : ''}`;

/** A table: what stands between its marks. */
interface Table {
  readonly name: string;
  /** Whether it is beside PyTorch. */
  readonly torch?: true;
  make(): Promise<{ readonly head: Row; readonly rows: Row[]; readonly labels?: readonly string[] }>;
}

/** Runs a script of this folder that answers in JSON. */
function ask<T>(script: string, args: readonly string[]): T {
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(__dirname, 'run.cjs'), join(__dirname, script), ...args],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 2 ** 26,
    },
  );
  if (status !== 0) throw new Error(`${script} ${args.join(' ')} ended with code ${status}.`);
  return JSON.parse(stdout) as T;
}

function besidePyTorch(name: string, cases: readonly (readonly [name: string, runs: number])[], args: string[]): Table {
  return {
    name,
    torch: true,
    async make() {
      const answers = cases.flatMap(([of, count]) => {
        const asked = ['--python', given.python!, '--case', of, '--runs', `${count}`, '--patience', given.patience];
        try {
          return [ask<{ backend: string; results: Result[] }>('vs-pytorch/index.ts', [...asked, '--json', ...args])];
        } catch (error) {
          console.error(`LEFT OUT: ${of} of ${name}. ${error instanceof Error ? error.message : error}`);
          return [];
        }
      });
      if (answers.length === 0) throw new Error('No case could be measured.');
      const rows = answers
        .flatMap(({ results }) => results)
        .map(({ case: of, part, tokens, seconds, ratio, difference, busy }) => [
          `${of}, ${part}`,
          tokens.toLocaleString('en-US'),
          ms(seconds.ours),
          ms(seconds.pytorch),
          between(ratio, busy),
          difference.toExponential(1),
        ]);
      const head = ['case', 'tokens', 'ertacache', 'PyTorch', 'ratio', 'difference'];
      return { head, rows, labels: answers.slice(0, 1).map(({ backend }) => backend) };
    },
  };
}

/** Arms against the first of them. */
function armsTable(
  name: string,
  groups: readonly { readonly what: string; readonly runs: number; readonly arms: Readonly<Record<string, Arm>> }[],
): Table {
  return {
    name,
    async make() {
      const rows: Row[] = [];
      const labels = new Set<string>();
      for (const { what, runs, arms } of groups) {
        const turns = await measureArms(Object.values(arms), { runs, warm: runs > 10 ? 10 : 2, patience });
        for (const label of turns.labels) labels.add(label);
        for (const [i, arm] of Object.keys(arms).entries()) {
          const by = i === 0 ? '' : between(ratio(turns, i, 0), turns.busy);
          rows.push([what, arm, ms(median(turns.seconds[i]!)), by]);
        }
      }
      return { head: ['work', 'how', 'time', 'by the first'], rows, labels: [...labels] };
    },
  };
}

const wasm = (work: Work, threads = 1): Arm => ({ backend: 'wasm', threads, work });
const native = (work: Work): Arm => ({ backend: 'native', threads: 1, work });
const forward = (name: string): Work => ({ do: 'forward', case: name });
const picture = (cached: boolean): Work => ({ do: 'picture', model: 'fluent-emoji', cached });
const uncachedAndCached = (arm: (work: Work) => Arm): Record<string, Arm> => ({
  'every step': arm(picture(false)),
  'with its policy': arm(picture(true)),
});

function profileTable(backend: 'wasm' | 'native'): Table {
  return {
    name: `profile-${backend}`,
    async make() {
      const args = ['--backend', backend, '--runs', `${runs(20, 7)}`, '--patience', given.patience, '--json'];
      const { label, seconds: whole, kinds, busy } = ask<Profile>('profile.ts', args);
      const mark = busy ? ' busy' : '';
      const rows = [{ kind: 'a picture', calls: 1, seconds: whole, share: 1 }, ...kinds].map(
        ({ kind, calls, seconds, share }) => [kind, `${calls}`, ms(seconds), `${(100 * share).toFixed(1)} %${mark}`],
      );
      return { head: ['what', 'calls', 'time', 'share'], rows, labels: [label] };
    },
  };
}

const tables: readonly Table[] = [
  besidePyTorch(
    'pytorch-float32',
    [
      ['wan-1k', runs(11, 5)],
      ['minit2i', runs(11, 5)],
      ...['wan-4k', 'flux', 'cogvideox', 'open-sora'].map(of => [of, runs(7, 3)] as const),
    ],
    ['--backend', 'native'],
  ),
  besidePyTorch(
    'pytorch-bfloat16',
    [
      ['wan-1k', runs(11, 5)],
      ['minit2i', runs(11, 5)],
      ['wan-4k', runs(7, 3)],
    ],
    ['--backend', 'native', '--dtype', 'bfloat16'],
  ),
  besidePyTorch('pytorch-wasm', [['fluent-emoji', runs(60, 25)]], ['--backend', 'wasm', '--threads', '1']),
  armsTable('wasm', [
    {
      what: '`fluent-emoji`, 30 steps, every one computed',
      runs: runs(15, 7),
      arms: {
        "TensorFlow.js's kernels": { ...wasm(picture(false)), kernels: '0' },
        'ours without FMA': { ...wasm(picture(false)), kernels: 'plain' },
        'ours, as Node allows': wasm(picture(false)),
      },
    },
  ]),
  armsTable('threads', [
    ...(['fluent-emoji', 'minit2i'] as const).map(name => ({
      what: name === 'minit2i' ? "two blocks of MiniT2I B/16's width, 1,024 tokens" : 'forward pass of `fluent-emoji`',
      runs: name === 'minit2i' ? runs(15, 7) : runs(60, 25),
      arms: Object.fromEntries(
        [...new Set([1, 2, Math.min(8, cores)])].map(count => [
          `${count} thread${count === 1 ? '' : 's'}`,
          wasm(forward(name), count),
        ]),
      ),
    })),
  ]),
  armsTable('pictures', [
    { what: '`fluent-emoji`, 30 steps, wasm', runs: runs(15, 7), arms: uncachedAndCached(wasm) },
    { what: '`fluent-emoji`, 30 steps, native', runs: runs(15, 7), arms: uncachedAndCached(native) },
  ]),
  profileTable('wasm'),
  profileTable('native'),
];

async function main(): Promise<void> {
  const names = tables.map(({ name }) => name);
  const wanted = given.only?.split(',') ?? names;
  const unknown = wanted.filter(name => !names.some(each => each === name || each.startsWith(`${name}-`)));
  if (unknown.length > 0) throw new Error(`There is no table ${unknown.join(', ')}; there are ${names.join(', ')}.`);
  const torch = torchVersion(given.python);
  const failed: string[] = [];
  for (const table of tables.filter(({ name }) => wanted.some(each => each === name || name.startsWith(`${each}-`)))) {
    const { name, make } = table;
    if (table.torch && torch === undefined) {
      console.error(`LEFT OUT: ${name}. It needs --python PATH, a Python with torch.`);
      continue;
    }
    console.error(`${name} …`);
    try {
      const { head, rows, labels = [] } = await make();
      const busy = rows.some(row => row.some(cell => cell.endsWith(' busy')))
        ? '\n\n`busy`: others used the machine meanwhile.'
        : '';
      const line = machineLine([...labels, table.torch && `PyTorch ${torch}`]);
      const text = `${markdown(head, rows)}\n\n${line}.${busy}`;
      console.log(`\n${name}\n\n${text}`);
      if (!given.print) writeTable(README, name, text);
    } catch (error) {
      failed.push(name);
      console.error(`FAILED: ${name}. ${error instanceof Error ? error.message : error}`);
    }
  }
  if (failed.length > 0) process.exitCode = 1;
}

main().catch(error => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
