/**
 * How many pictures keep what their bound says, on fresh pairs: of policies for the same steps and guidance, by the bound of
 * all pictures and by that of each, for ordinary prompts and unusual ones.
 *
 *   node bench/run.cjs bench/bound.ts POLICY.json ... [--forwards 15,10,6] [--pairs 512] [--unusual 64] [--overhead] [--out FILE]
 *
 * `--forwards` takes these budgets of a policy that holds many.
 */
import { appendFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { atLeast, type Bound, USUAL_CONFIDENCE } from '../src/cache/bound';
import { none } from '../src/cache/none';
import { writtenPsnr } from '../src/calibration/bound/measure-bound';
import { pairsRequest } from '../src/calibration/jobs';
import { unusualGroups, unusualPairs } from '../src/calibration/mixture';
import { batches, splitPairs } from '../src/calibration/pairs';
import { selectBackend } from '../src/engine/select';
import { shareText } from '../src/lab/report/text';
import type { Media } from '../src/media/pixels';
import { shareInterval } from '../src/metrics/share';
import { mean, median } from '../src/metrics/statistics';
import { loadModel } from '../src/pipelines/load';
import { atBudget } from '../src/policy/budget';
import { computedSteps, type Policy, reusedOf } from '../src/policy/data';
import { policyHash } from '../src/policy/hash';
import { readNamedPolicy } from '../src/policy/on-disk';
import type { Pair } from '../src/policy/pair';
import { usePolicy } from '../src/policy/use';
import type { Pipeline } from '../src/sampling/pipeline';
import { policyUse } from '../src/sampling/policy-use';
import { runJob } from '../src/sampling/run-job';

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    forwards: { type: 'string', default: '' },
    pairs: { type: 'string', default: '512' },
    unusual: { type: 'string', default: '64' },
    overhead: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});

/** A fresh pair under a policy. */
interface Seen {
  readonly group: string;
  readonly psnr: number;
  readonly bound: Bound | null;
  readonly all: number;
}

async function main(): Promise<void> {
  console.log((await selectBackend('auto')).label);
  const budgets = given.forwards.split(',').filter(Boolean).map(Number);
  const files = await Promise.all(positionals.map(readNamedPolicy));
  const policies =
    budgets.length > 0 ? files.flatMap(file => budgets.map(forwards => atBudget(file, { forwards }))) : files;
  const { data } = policies[0] as Policy;
  const model = await loadModel(data.model.id);
  if (given.overhead) for (const policy of policies) await overhead(model, policy);
  const { evaluation } = splitPairs(model.info.prompts, 0, Number(given.pairs));
  const each = Number(given.unusual);
  const groups = unusualGroups.filter(group => group !== 'negative' || data.guidance !== 1);
  const unusual = each > 0 ? groups.flatMap((group, g) => unusualPairs(evaluation, group, g * each, each)) : [];
  const seen = policies.map((): Seen[] => []);
  for (const pairs of batches([...evaluation, ...unusual], 16)) {
    for (const [p, found] of (await observe(model, policies, pairs)).entries()) {
      seen[p]?.push(...found);
      const lines = found.map((one, i) =>
        JSON.stringify({ policy: policyHash(policies[p] as Policy), ...pairs[i], ...one }),
      );
      if (given.out) await appendFile(given.out, `${lines.join('\n')}\n`);
    }
  }
  console.log(
    '| computed | prompts | pairs | bound of all | holds for | bound of each, mean | holds for | no bound for |',
  );
  console.log('| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const [p, policy] of policies.entries()) report(policy, seen[p] as readonly Seen[], groups);
  model.dispose();
}

async function observe(model: Pipeline, policies: readonly Policy[], pairs: readonly Pair[]): Promise<Seen[][]> {
  const { schedule, guidance } = (policies[0] as Policy).data;
  const job = await model.prepare(pairsRequest(pairs, { steps: schedule.length, guidance }));
  try {
    const uncached = await runJob(model, job, none());
    const found: Seen[][] = [];
    for (const policy of policies) {
      const { all = [] } = policy.data.bound ?? {};
      const cached = await runJob(model, job, usePolicy(policy, policyUse(model.info, guidance, job)));
      found.push(
        pairs.map(({ group = 'ordinary' }, row) => ({
          group,
          psnr: writtenPsnr(uncached.media[row] as Media, cached.media[row] as Media),
          bound: cached.bound?.[row] ?? null,
          all: atLeast(all, USUAL_CONFIDENCE)?.dB ?? Number.NaN,
        })),
      );
    }
    return found;
  } finally {
    job.release();
  }
}

function report({ data }: Policy, seen: readonly Seen[], groups: readonly string[]): void {
  for (const group of ['ordinary', ...groups]) {
    const own = seen.filter(one => one.group === group);
    if (own.length === 0) continue;
    const bounded = own.filter(({ bound }) => bound);
    const held = (holds: readonly boolean[]): string =>
      holds.length === 0 ? '–' : shareText(shareInterval(holds), true);
    console.log(
      `| ${[
        computedSteps(reusedOf(data.schedule)),
        group,
        own.length,
        `${own[0]?.all.toFixed(1)} dB`,
        held(bounded.map(({ psnr, all }) => psnr >= all)),
        bounded.length === 0 ? '–' : `${mean(bounded.map(({ bound }) => (bound as Bound).psnr)).toFixed(1)} dB`,
        held(bounded.map(({ psnr, bound }) => psnr >= (bound as Bound).psnr)),
        own.length - bounded.length,
      ].join(' | ')} |`,
    );
  }
}

/** Time of a run with and without its bound, in turns. */
async function overhead(model: Pipeline, policy: Policy): Promise<void> {
  const { guidance, schedule } = policy.data;
  const pair = { prompt: model.info.prompts[0] as string, seed: 1 };
  const job = await model.prepare(pairsRequest([pair], { steps: schedule.length, guidance }));
  const bounded = usePolicy(policy, policyUse(model.info, guidance, job));
  const plain = { ...bounded, bound: undefined, signals: [] };
  const shares: number[] = [];
  for (let round = -2; round < 40; round++) {
    const first = round % 2 === 0 ? bounded : plain;
    const a = await runJob(model, job, first);
    const b = await runJob(model, job, first === bounded ? plain : bounded);
    const [own, other] = first === bounded ? [a, b] : [b, a];
    if (round >= 0) shares.push(own.seconds / other.seconds - 1);
  }
  job.release();
  console.log(`${schedule}: the bound takes ${(100 * median(shares)).toFixed(2)} % of a run, the median of 40`);
}

void main();
