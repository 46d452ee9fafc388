import { none } from '../../cache/none';
import { ErtaError } from '../../errors';
import type { Lpips } from '../../metrics/lpips';
import { type Policy, requireFits } from '../../policy/data';
import type { Pipeline } from '../../sampling/pipeline';
import { policyUse } from '../../sampling/policy-use';
import { runJob } from '../../sampling/run-job';
import type { Bench } from './bench';
import type { Cell, Comparison } from './comparison';
import type { Contender } from './contender';
import type { FarArena } from './far';
import { countFlops } from './flops';
import { measureCell } from './measure-cell';
import { type Meter, meter } from './meter';
import { cellName } from './names';
import { openBench } from './open-bench';
import { type Plan, type PlannedCell, passesOf, planWork } from './plan';
import { missingReferences, type PairRuns, prepare, referenceReader, runReferences } from './reference-runs';
import type { Store } from './store';
import { timeCell } from './time-cell';

export interface ArenaOptions {
  readonly contenders: readonly Contender[];
  /** Policies to use instead of calibrating, by the name of a cell. */
  readonly given?: ReadonlyMap<string, Policy> | undefined;
  readonly lpips?: Lpips | undefined;
  /** Other machines that do the work. */
  readonly far?: FarArena | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told what is about to be done. */
  readonly onPlan?: ((plan: Plan) => void | Promise<void>) | undefined;
  /** Forward passes of one pair done so far, and what is being done. */
  readonly onProgress?: ((done: number, note: string) => void) | undefined;
  /** Told of each cell as it is done. */
  readonly onCell?: ((cell: Cell) => void) | undefined;
}

/**
 * Measures every contender at every budget on every pair. What is done is kept in the store at once, so a run that is
 * cut continues where it was.
 * @throws InterruptedError when `signal` is aborted, PolicyError before it begins when a given policy is for another run
 */
export async function runArena(pipeline: Pipeline, store: Store, options: ArenaOptions): Promise<Comparison> {
  const { comparison } = store;
  const { steps, guidance, batch, evaluation } = comparison.request;
  const counter = meter((done, note) => options.onProgress?.(done, note));
  const onPasses = counter.add;
  const signal = options.signal && { signal: options.signal };
  const runs: PairRuns = { pipeline, evaluation, steps, guidance, batch, onPasses, ...signal };
  if (options.given) await requireGivenFit(runs, [...options.given.values()]);
  const { bench, release } = openBench(pipeline, store, { ...options, onPasses });
  try {
    const missing = comparison.state === 'complete' ? [] : await missingReferences(store, runs);
    const plan = planWork(store, options.contenders, bench, missing);
    await options.onPlan?.(plan);
    if (options.far) {
      const { far } = options;
      // Loaded when it is used: pages never do.
      const { farCells, farReferences } = await import('./far');
      await counter.phase(plan.references, 'every step computed', () => farReferences(store, far, missing));
      const rest = passesOf(plan.total) - plan.references;
      await counter.phase(rest, 'comparing', () => farCells(store, far, plan, counter, options));
      if (comparison.state !== 'complete') await store.finish();
      return comparison;
    }
    await counter.phase(plan.references, 'every step computed', () => runReferences(store, runs, missing));
    const ready: Ready = { store, runs, bench, counter, reference: referenceReader(store, runs), options };
    for (const planned of plan.cells) await settle(ready, planned);
  } finally {
    release();
  }
  if (comparison.state !== 'complete') await store.finish();
  return comparison;
}

/** A policy of another run would be compared, and its numbers would say nothing. */
async function requireGivenFit(runs: PairRuns, given: readonly Policy[]): Promise<void> {
  if (given.length === 0) return;
  const job = await prepare(runs, runs.evaluation.slice(0, 1));
  const use = policyUse(runs.pipeline.info, runs.guidance, job);
  job.release();
  for (const { data } of given) requireFits(data, use);
}

interface Ready {
  readonly store: Store;
  readonly runs: PairRuns;
  readonly bench: Bench;
  readonly counter: Meter;
  readonly reference: ReturnType<typeof referenceReader>;
  readonly options: ArenaOptions;
}

/** Whether an error says that a method cannot do a budget; anything else ends the comparison. */
export const isRefusal = (error: unknown): error is ErtaError =>
  ErtaError.isInstance(error) && ['unsupported', 'usage', 'policy', 'numeric'].includes(error.code);

/** Measures one cell, or notes why it cannot be. */
async function settle(ready: Ready, planned: PlannedCell): Promise<void> {
  const { store, options } = ready;
  const { contender, budget } = planned;
  try {
    const cell = await measure(ready, planned);
    store.comparison.cells.push(cell);
    options.onCell?.(cell);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    store.comparison.refused.push({ method: contender.name, budget, reason: error.message });
  }
  await store.save();
}

async function measure(ready: Ready, planned: PlannedCell): Promise<Cell> {
  const { store, runs, bench, counter, reference, options } = ready;
  const { contender, budget } = planned;
  const { steps, timed } = store.comparison.request;
  const note = `${contender.title}, ${budget} steps`;
  const { policy, setting, passes } = await counter.phase(passesOf(planned.preparation), `${note}: calibrating`, () =>
    contender.prepare({ steps, computed: budget }, bench),
  );
  const { lpips } = options;
  const name = cellName(contender.name, budget);
  const measuring = { policy, dynamic: contender.dynamic, name, reference, ...(lpips && { lpips }) };
  const measured = await counter.phase(passesOf(planned.measuring), `${note}: comparing`, () =>
    measureCell(store, runs, measuring),
  );
  const timing =
    timed === 0
      ? undefined
      : await counter.phase(passesOf(planned.timing), `${note}: timing`, () => timeCell(runs, policy, timed));
  const { reference: kept } = store.comparison;
  if (timing) kept.flops ??= await uncachedFlops(runs);
  return {
    method: contender.name,
    budget,
    ...(setting !== undefined && { setting }),
    preparation: passes,
    sigmas: measured.sigmas,
    pairs: measured.pairs,
    cacheBytes: measured.cacheBytes,
    ...(timing && { flops: timing.flops, timing: timing.timing }),
  };
}

/** The operations of an uncached run. */
export async function uncachedFlops(runs: PairRuns): Promise<number> {
  const job = await prepare(runs, runs.evaluation.slice(0, 1));
  try {
    const { flops } = await countFlops(() =>
      runJob(runs.pipeline, job, none(), runs.signal && { signal: runs.signal }),
    );
    return flops;
  } finally {
    job.release();
  }
}
