import { Command, InvalidArgumentError, Option } from 'commander';
import type { GuidanceRange } from '../../cache/by-guidance';
import { none } from '../../cache/none';
import type { RectifyForm } from '../../cache/rectify';
import type { SiteName } from '../../cache/sites';
import type { TimestepForm } from '../../cache/time-grid';
import { type CalibrateOptions, calibrate, calibrationForwards } from '../../calibration/calibrate';
import { DEFAULT_SEARCH, requirePossible, type ScheduleRequest } from '../../calibration/decide';
import type { Granularity } from '../../calibration/fit';
import { fidelityOf, measurePolicy, scorePolicy } from '../../calibration/measure';
import { mayBeSteered, mixed } from '../../calibration/mixture';
import { heldOutPairs, splitPairs, steeredAway } from '../../calibration/pairs';
import { DEFAULT_WORST_WEIGHT } from '../../calibration/quality';
import { DEFAULT_TRIALS, type SearchMethod } from '../../calibration/search/search';
import { budgetsAtMost, calibrateToTarget, type FidelityTarget, type TargetOptions } from '../../calibration/target';
import { UsageError } from '../../errors';
import { MOST } from '../../io/counts';
import { requireWritableFolder } from '../../io/writable';
import { boundLines } from '../../lab/report/bound-text';
import { budgetLines } from '../../lab/report/policy-text';
import { fidelityText } from '../../lab/report/text';
import { DEFAULT_MODEL } from '../../pipelines/default-model';
import { usualBudget } from '../../policy/budget';
import { computedSteps, type Fidelity, type Policy, type PolicyData, reusedOf } from '../../policy/data';
import { requirePolicyName, requirePolicyWritable, writePolicy } from '../../policy/file';
import { policyHash } from '../../policy/hash';
import type { Pair } from '../../policy/pair';
import type { Pipeline } from '../../sampling/pipeline';
import { runRequest } from '../../sampling/run-job';
import { startBackend } from '../backend';
import { type BaselineMethod, calibrateBaseline, requireFactsWritable } from '../baseline-facts';
import { type BoundOptions, checkBoundPairs, usualBoundPairs, withBounds } from '../calibrate/bounds';
import { groupFidelities, growing, keptMeanwhile, measuredBudgets, unusualHeldOut } from '../calibrate/measured';
import { encodeAhead, promptRequests } from '../encode-ahead';
import { loadNearOrFar, type NearOrFar } from '../far-pictures';
import { interruptible } from '../interrupt';
import { numberBetween, scheduleStrip, wholeNumber, wholeNumbers } from '../parse';
import { addPictureOptions, type PictureOptions } from '../picture-options';
import { progressLine } from '../progress';
import { promptsFor } from '../prompts';
import { addFarOptions, type QueuePlace } from '../queue-options';
import { idleNotes } from '../sample/notes';

interface Options extends PictureOptions, QueuePlace {
  readonly model: string;
  readonly method: 'ertacache' | BaselineMethod;
  readonly steps?: number | undefined;
  readonly guidance?: number | undefined;
  readonly lambda?: number | undefined;
  readonly schedule?: readonly boolean[] | undefined;
  readonly targetSpeedup: number;
  readonly targetPsnr?: number | undefined;
  readonly targetSsim?: number | undefined;
  readonly search: SearchMethod;
  readonly trials: number;
  readonly prompts?: string | undefined;
  readonly pairs: number;
  readonly heldOut: number;
  readonly batch: number;
  readonly site: SiteName;
  readonly taylor: number;
  readonly timestep: TimestepForm;
  readonly rectify: RectifyForm;
  readonly granularity: Granularity;
  readonly guidanceRange?: GuidanceRange | undefined;
  readonly budgets?: 'all' | readonly number[] | undefined;
  readonly worstWeight: number;
  readonly mixture: number;
  readonly boundPairs?: number | undefined;
  readonly name: string;
  readonly out?: string | undefined;
}

/** Beyond, a mean of the pairs counts nothing. */
const MOST_WORST_WEIGHT = 1000;

/** `ertacache calibrate`: a policy for one model, step count and guidance. */
export function calibrateCommand(): Command {
  const command = new Command('calibrate')
    .option(
      '--model <folder>',
      "a model folder, owner/name from the hub's cache, or the name of one that ships with ertacache",
      DEFAULT_MODEL,
    )
    .addOption(
      new Option('--method <name>', 'ertacache makes a policy; the others measure what they need of a model')
        .choices(['ertacache', 'teacache', 'magcache'])
        .default('ertacache'),
    )
    .option('--steps <n>', "denoising steps (default: the model's)", wholeNumber(1, MOST.steps))
    .option('--guidance <g>', "classifier-free guidance (default: the model's)", numberBetween(0))
    .addOption(
      new Option('--lambda <x>', "the paper's threshold: reuse where the relative error is below it")
        .argParser(numberBetween(0))
        .conflicts(['targetSpeedup', 'targetPsnr', 'targetSsim', 'schedule']),
    )
    .addOption(
      new Option('--schedule <strip>', 'the schedule itself, such as ##.#.#..#: # is computed, . is reused')
        .argParser(scheduleStrip)
        .conflicts(['targetSpeedup', 'targetPsnr', 'targetSsim', 'steps', 'search']),
    )
    .addOption(
      new Option('--target-speedup <x>', 'compute one step in x')
        .argParser(numberBetween(1))
        .default(2)
        .conflicts(['targetPsnr', 'targetSsim']),
    )
    .addOption(
      new Option(
        '--target-psnr <dB>',
        'the fewest steps whose mean PSNR reaches this, measured on the calibration pairs with 95 % confidence',
      )
        .argParser(numberBetween(0, 100))
        .conflicts('targetSsim'),
    )
    .addOption(
      new Option('--budgets <list>', 'a policy that holds many budgets, computed steps such as 5-29 or 6,8,10; or all')
        .argParser(budgetList)
        .conflicts(['lambda', 'schedule', 'targetSpeedup', 'targetPsnr', 'targetSsim']),
    )
    .option(
      '--guidance-range <from-to>',
      'a policy for every guidance between two, such as 1.5-6: its weights depend on it',
      guidanceRange,
    )
    .option('--target-ssim <x>', 'the fewest steps whose mean SSIM reaches this, in the same way', numberBetween(0, 1))
    .addOption(
      new Option(
        '--search <method>',
        "how the schedule is found: the paper's walk, shortest paths, local search, or free noise levels",
      )
        .choices(['walk', 'dp', 'anneal', 'solver'])
        .default(DEFAULT_SEARCH),
    )
    .option(
      '--trials <n>',
      'schedules that --search anneal and solver may try',
      wholeNumber(0, MOST.trials),
      DEFAULT_TRIALS,
    )
    .option(
      '--worst-weight <w>',
      'what the worst eighth of the pairs counts beside their mean when a schedule is chosen; from more than 32 pairs on',
      numberBetween(0, MOST_WORST_WEIGHT),
      DEFAULT_WORST_WEIGHT,
    )
    .option('--prompts <file>', 'one prompt a line (default: those that the model lists)')
    .option('--pairs <n>', 'prompt and seed pairs to calibrate on', wholeNumber(1, MOST.pictures), 16)
    .option(
      '--held-out <n>',
      'pairs that no choice has seen, to measure the policy on',
      wholeNumber(0, MOST.pictures),
      8,
    )
    .option(
      '--mixture <share>',
      'share of the pairs whose prompts are unusual: empty, unknown words, backgrounds, long ones, negative prompts',
      numberBetween(0, 1),
      0,
    )
    .option(
      '--bound-pairs <n>',
      'further pairs to find out what pictures keep at least; 0 for none (default: 128 for models of less than 50 million parameters that are calibrated on 16 pairs or more)',
      wholeNumber(0, MOST.pictures),
    )
    .option('--batch <n>', 'pairs to run at a time', wholeNumber(1, MOST.rows), 8)
    .addOption(
      new Option('--site <site>', 'where the residual is taken')
        .choices(['hidden', 'output', 'velocity'])
        .default('velocity'),
    )
    .option('--taylor <strength>', 'extrapolate residuals: 0 reuse, 1 full first order', numberBetween(0, 1), 0)
    .addOption(
      new Option('--timestep <form>', 'adjust the step lengths').choices(['off', 'global', 'cycle']).default('off'),
    )
    .addOption(
      new Option('--rectify <form>', 'correct rebuilt outputs')
        .choices(['off', 'linear', 'sigmoid', 'lsq'])
        .default('lsq'),
    )
    .addOption(
      new Option('--granularity <g>', 'coefficients of linear and sigmoid')
        .choices(['scalar', 'channel'])
        .default('scalar'),
    )
    .option('--name <name>', 'name of the method in reports', 'ertacache')
    .option(
      '--out <file>',
      'policy file to write; a policy of that name is replaced (default: named after the model and the run)',
    );
  addFarOptions(command, '; forward passes are then made by its workers, to the same policy');
  return addPictureOptions(command).action(async (options: Options, command: Command) => {
    const isAsked = command.getOptionValueSource('search') === 'cli';
    if (options.lambda !== undefined && isAsked && options.search !== 'walk') {
      throw new UsageError(`--lambda finds a schedule by the walk, and not by ${options.search}.`, {
        hint: 'Omit --lambda or --search.',
      });
    }
    await requireOutput(options);
    await startBackend(command);
    await interruptible(async signal => {
      const { pipeline, close, ...where } = await loadNearOrFar(options);
      try {
        await calibrateAndWrite(pipeline, { ...options, ...where }, signal);
      } finally {
        await close();
      }
    });
  });
}

/** The guidance of a policy in its name. */
const guidanceText = ({
  guidance,
  guidanceRange: range,
}: Pick<CalibrateOptions, 'guidance' | 'guidanceRange'>): string =>
  range ? `${range.from}-${range.to}` : String(guidance);

/** The model's, or the middle of a range that it lies outside of. */
function usualGuidance(usual: number, range?: GuidanceRange): number {
  if (!range || (usual >= range.from && usual <= range.to)) return usual;
  return Number(Math.sqrt(range.from * range.to).toPrecision(3));
}

/** Two numbers with a dash between them. */
function guidanceRange(text: string): GuidanceRange {
  const [from, to, ...more] = text.split('-').map(part => (part.trim() === '' ? Number.NaN : Number(part)));
  if (from !== undefined && to !== undefined && more.length === 0 && from > 0 && to > from && to <= MOST.guidance) {
    return { from, to };
  }
  throw new InvalidArgumentError('It must be two growing numbers, such as 1.5-6.');
}

const budgetList = (text: string): 'all' | number[] => (text === 'all' ? text : wholeNumbers(1, MOST.steps)(text));

/** Before hours of work, not after: what is written where a baseline is measured, or a policy is calibrated. */
async function requireOutput({ out, method, rectify, boundPairs = 0 }: Options): Promise<void> {
  checkBoundPairs(boundPairs);
  if (out !== undefined) requirePolicyName(out);
  if (method === 'ertacache')
    await (out === undefined ? requireWritableFolder('.') : requirePolicyWritable(out, rectify !== 'off'));
  else if (out !== undefined) await requireFactsWritable(out);
}

type Running = Options & Pick<NearOrFar, 'places' | 'sight'>;

async function calibrateAndWrite(pipeline: Pipeline, options: Running, signal: AbortSignal): Promise<void> {
  const { info } = pipeline;
  const steps = options.schedule?.length ?? options.steps ?? info.defaults.steps;
  const guidance = options.guidance ?? usualGuidance(info.defaults.guidance, options.guidanceRange);
  for (const line of idleNotes({ ...options, guidance }, info)) process.stderr.write(line);
  const prompts = await promptsFor(info, options.prompts);
  const { calibration: ordinary, evaluation } = steeredAway(
    splitPairs(prompts, options.pairs, options.heldOut),
    options.negativePrompt,
  );
  const steered = options.mixture > 0 && mayBeSteered(pipeline, { steps, guidance });
  const calibration = mixed(ordinary, options.mixture, steered);
  const unusual = options.mixture > 0 ? unusualHeldOut(evaluation, steered) : [];
  const all = [...calibration, ...evaluation, ...unusual];
  await encodeAhead(pipeline, promptRequests(all, { steps, guidance }), signal);
  if (options.method !== 'ertacache') {
    const { batch, sight } = options;
    const run = { pairs: calibration, steps, guidance, batch, signal, sight };
    return calibrateBaseline(pipeline, options.method, run, options.out);
  }
  const { name, site, taylor, timestep, rectify, granularity, batch, search, trials, worstWeight } = options;
  const request = {
    name,
    pairs: calibration,
    steps,
    guidance,
    site,
    taylor,
    timestep,
    rectify,
    granularity,
    worstWeight,
    batch,
    signal,
    ...(options.guidanceRange && { guidanceRange: options.guidanceRange }),
    places: options.places,
  };
  const target = targetOf(options);
  const pairs = options.boundPairs ?? usualBoundPairs(info, options.pairs);
  const { mixture, negativePrompt: negative } = options;
  const bounding = { prompts, pairs, mixture, negative, batch, signal };
  if (options.budgets) return calibrateBudgets(pipeline, request, options, { evaluation, bounding });
  const policy = target
    ? await towardsTarget(pipeline, { ...request, target, search, trials })
    : await forBudget(pipeline, { ...request, schedule: scheduleRequest(options, steps) });
  const computed = computedSteps(reusedOf(policy.data.schedule));
  const file = options.out ?? `${info.id}-${steps}steps-g${guidanceText(request)}-${computed}.json`;
  const { data, measured, heldOut } = await keptMeanwhile(file, policy, async () => {
    const measured: PolicyData['measured'] = {
      calibration: await measurePolicy(pipeline, policy, calibration, { batch, signal }),
    };
    const unseen = heldOutPairs(evaluation, policyHash(policy));
    const heldOut = await scorePolicy(pipeline, policy, unseen, { batch, signal });
    if (heldOut.length > 0) measured.heldOut = fidelityOf(heldOut);
    if (unusual.length > 0) measured.groups = await groupFidelities(pipeline, policy, unusual, { batch, signal });
    const [{ data }] = (await withBounds(pipeline, [policy], bounding)) as [Policy];
    return { data, measured, heldOut };
  });
  await writePolicy(file, { ...policy, data: { ...data, measured } });
  console.log(
    `schedule   ${policy.data.schedule}  (${computed} of ${steps} computed, ${(steps / computed).toFixed(2)}×)`,
  );
  const { groups = {}, ...sets } = measured;
  for (const [set, value] of Object.entries({ ...sets, ...groups })) if (value) console.log(fidelityLine(set, value));
  for (const line of data.bound ? boundLines(data.bound) : []) console.log(`bound      ${line}`);
  if (target && heldOut.length > 0) {
    const met = heldOut.filter(s => s[target.metric] >= target.least).length;
    console.log(
      `target     ${met} of ${heldOut.length} held-out pairs reach ${target.metric.toUpperCase()} ${target.least}`,
    );
  }
  console.log(`wrote ${file}`);
}

/** Fewer computed steps are tried for by name only: nothing that is seen is left. */
const LEAST_BUDGET = 5;

/** One calibration for many budgets, each measured on the same held-out pairs. */
async function calibrateBudgets(
  pipeline: Pipeline,
  request: Omit<CalibrateOptions, 'schedule'> & AtATime,
  { budgets, search, trials, out }: Options,
  { evaluation, bounding }: { readonly evaluation: readonly Pair[]; readonly bounding: BoundOptions },
): Promise<void> {
  const { steps, batch = 8, signal } = request;
  if (search === 'walk') {
    throw new UsageError("The paper's walk finds the schedule of one budget at a time.", {
      hint: 'Give one --target-speedup, or omit --search walk.',
    });
  }
  const wanted =
    budgets === 'all'
      ? Array.from({ length: Math.max(1, steps - LEAST_BUDGET) }, (_, i) => Math.min(LEAST_BUDGET, steps - 1) + i)
      : (budgets as readonly number[]);
  const policy = await forBudget(pipeline, { ...request, schedule: { budgets: wanted, search, trials } });
  const file = out ?? `${pipeline.info.id}-${steps}steps-g${guidanceText(request)}.json`;
  const bounded = await keptMeanwhile(file, policy, async () => {
    const measured = await measuredBudgets(pipeline, policy, evaluation, { batch, signal });
    return withBounds(pipeline, growing(measured), bounding);
  });
  const whole: Policy = { ...(usualBudget(bounded) as Policy), budgets: bounded };
  await writePolicy(file, whole);
  for (const line of budgetLines(whole)) console.log(line);
  console.log(`wrote ${file}`);
}

/** How many forward passes are made at a time. */
type AtATime = Pick<NearOrFar, 'places'>;

async function forBudget(pipeline: Pipeline, request: CalibrateOptions & AtATime): Promise<Policy> {
  requirePossible(request.schedule, request.steps);
  const most = calibrationForwards(request);
  await announce(pipeline, request, most);
  const line = progressLine('calibrating', most);
  return calibrate(pipeline, { ...request, onProgress: done => line.update(done) }).finally(line.stop);
}

async function towardsTarget(pipeline: Pipeline, options: TargetOptions & AtATime): Promise<Policy> {
  const { search, trials, steps, target } = options;
  // A bisection tries about half of the steps on average.
  const schedule = { computed: Math.ceil(steps / 2), search, trials };
  requirePossible(schedule, steps);
  await announce(pipeline, options, budgetsAtMost(steps) * calibrationForwards({ ...options, schedule }));
  const metric = target.metric.toUpperCase();
  return calibrateToTarget(pipeline, {
    ...options,
    onTried: (computed, fidelity) =>
      console.log(`tried      ${computed} of ${steps}: ${metric} ${fidelity[target.metric].mean.toFixed(4)}`),
  });
}

/** Says what is about to be done, and how long it will take at the speed of one forward pass. */
async function announce(
  pipeline: Pipeline,
  { pairs, steps, batch = 8, places, ...asked }: Omit<CalibrateOptions, 'schedule'> & AtATime,
  most: number,
): Promise<void> {
  const group = pairs.slice(0, batch);
  const [prompts, seeds] = [group.map(p => p.prompt), group.map(p => p.seed)];
  const timed = await runRequest(pipeline, { prompts, seeds, steps: 3, guidance: asked.guidance }, none());
  // The first step also compiles and allocates.
  const perPass = Math.min(...timed.steps.map(s => s.seconds)) / group.length;
  const minutes = Math.ceil((most * perPass) / places / 60);
  console.log(
    `Calibrating ${pipeline.info.id} on ${pairs.length} pairs, ${steps} steps, guidance ${guidanceText(asked)}: ` +
      `at most ${most} forward passes, about ${minutes} min.`,
  );
}

function targetOf({ targetPsnr, targetSsim }: Options): FidelityTarget | undefined {
  if (targetPsnr !== undefined) return { metric: 'psnr', least: targetPsnr };
  return targetSsim === undefined ? undefined : { metric: 'ssim', least: targetSsim };
}

function scheduleRequest(options: Options, steps: number): ScheduleRequest {
  const { lambda, schedule, targetSpeedup, search, trials } = options;
  if (lambda !== undefined) return { lambda };
  if (schedule) return { reused: schedule };
  const computed = Math.round(steps / targetSpeedup);
  if (targetSpeedup > steps || computed >= steps) {
    throw new UsageError(
      `A speed-up of ${targetSpeedup} leaves ${Math.min(computed, Math.floor(steps / targetSpeedup))} of ${steps} steps to compute.`,
      {
        hint:
          steps < 2
            ? 'Ask for more steps: of a single one, none can be reused.'
            : `Ask for a speed-up between ${(steps / (steps - 1)).toFixed(2)} and ${steps}.`,
      },
    );
  }
  return { computed, search, trials };
}

function fidelityLine(name: string, fidelity: Fidelity): string {
  const label = { heldOut: 'held out', calibration: 'calibrated' }[name] ?? name;
  return `${label.padEnd(10)} ${fidelityText(fidelity)}`;
}
