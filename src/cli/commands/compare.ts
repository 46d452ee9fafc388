import { Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_WORST_WEIGHT } from '../../calibration/quality';
import { DEFAULT_TRIALS } from '../../calibration/search/search';
import type { EngineChoice } from '../../engine/types';
import { ErtaError, InterruptedError } from '../../errors';
import { MOST } from '../../io/counts';
import { fileHash } from '../../io/file-hash';
import { requireWritableFolder } from '../../io/writable';
import { withAdded } from '../../lab/compare/add';
import { runArena } from '../../lab/compare/arena';
import { beginComparison, usualBudgets } from '../../lab/compare/begin';
import type { Comparison } from '../../lab/compare/comparison';
import type { Contender } from '../../lab/compare/contender';
import { contenderCalled, contenders } from '../../lab/compare/contenders';
import { COMPARISON_FILE, type DiskStore, requireUsable, withStore } from '../../lab/compare/disk-store';
import { durationText, estimateSeconds } from '../../lab/compare/estimate';
import type { FarArena } from '../../lab/compare/far';
import { givenPolicies } from '../../lab/compare/given';
import { type Plan, passesOf } from '../../lab/compare/plan';
import { thisMachine } from '../../lab/compare/this-machine';
import { comparisonText } from '../../lab/report/table';
import { decibels, listText, passes } from '../../lab/report/text';
import { createLpips, type Lpips } from '../../metrics/lpips';
import { readLpipsWeights } from '../../metrics/lpips-weights';
import { mean } from '../../metrics/statistics';
import { DEFAULT_MODEL } from '../../pipelines/default-model';
import { readNamedPolicy } from '../../policy/on-disk';
import { DEFAULT_METHOD } from '../../policy/source';
import type { Pipeline } from '../../sampling/pipeline';
import { policyUse } from '../../sampling/policy-use';
import { startBackend } from '../backend';
import { chooseContenders, comparisonToAddTo, contendersOf, rivalOf, settledBy, settledIn } from '../compare/asked';
import { type CompareOptions, folderOf } from '../compare/options';
import { encodeAhead, promptRequests } from '../encode-ahead';
import { loadNearOrFar } from '../far-pictures';
import { interruptible } from '../interrupt';
import { numberBetween, wholeNumber, wholeNumbers } from '../parse';
import { addPictureOptions, pictureFacts } from '../picture-options';
import { progressLine } from '../progress';
import { addFarOptions } from '../queue-options';

/** The weights of LPIPS have 10 MB. */
const MOST_LPIPS = 2 ** 30;

/** What a comparison has settled when something is added to it. */
const SETTLED = [
  'force',
  'pairs',
  'calibrationPairs',
  'steps',
  'guidance',
  'prompts',
  'batch',
  'mixture',
  'trials',
  'worstWeight',
  'timedPairs',
];

/** `ertacache compare`: caching methods side by side, as one JSON, a table and a page. */
export function compareCommand(): Command {
  const command = new Command('compare')
    .option(
      '--model <folder>',
      "a model folder, owner/name from the hub's cache, or the name of one that ships with ertacache",
      DEFAULT_MODEL,
    )
    .option('--methods <a,b,…>', `methods to compare (default: ${contenders.map(c => c.name).join(',')})`, names)
    .option(
      '--budgets <a,b,…>',
      'computed steps, or a range such as 4-15 (default: 1/2, 1/3, 1/5)',
      wholeNumbers(1, MOST.steps),
    )
    .option('--pairs <n>', 'prompt and seed pairs to compare on', wholeNumber(1, MOST.pictures), 32)
    .option('--calibration-pairs <n>', 'other pairs, to calibrate on', wholeNumber(1, MOST.pictures), 16)
    .option('--steps <n>', "denoising steps (default: the model's)", wholeNumber(1, MOST.steps))
    .option('--guidance <g>', "classifier-free guidance (default: the model's)", numberBetween(0))
    .option('--against <method>', `what the others are compared with, pair by pair (default: ${DEFAULT_METHOD})`)
    .option('--policy <file...>', 'calibrated policies to compare as they are, by their name and budget', [])
    .option('--prompts <file>', 'one prompt a line (default: those that the model lists)')
    .option('--batch <n>', 'pairs to run at a time', wholeNumber(1, MOST.rows), 8)
    .option(
      '--mixture <share>',
      'share of the compared pairs whose prompts are unusual, as of calibrate; each kind is told by itself',
      numberBetween(0, 1),
      0,
    )
    .option('--trials <n>', 'schedules that a search may try', wholeNumber(0, MOST.trials), DEFAULT_TRIALS)
    .option(
      '--worst-weight <w>',
      `what the worst eighth of the pairs counts beside their mean in every choice (default: ${DEFAULT_WORST_WEIGHT})`,
      numberBetween(0, 1000),
    )
    .option('--timed-pairs <n>', 'pairs to measure time on, one by one', wholeNumber(0, MOST.pictures), 3)
    .option('--lpips <weights>', 'compute LPIPS (AlexNet) with the weights in this .safetensors file')
    .option('--ablation', 'compare the parts of the method instead: policy, timestep, rectification, sites', false)
    .option('--out <folder>', 'where to write (default: samples/compare, or samples/ablation)')
    .addOption(
      new Option(
        '--add',
        'add --methods or --budgets to the comparison in the folder, on the pairs and settings that it has',
      )
        .default(false)
        .conflicts(SETTLED),
    )
    .option('--force', 'begin anew where the folder holds another comparison; other files are never replaced', false)
    .option('--json', 'print the JSON instead of a table', false)
    .option('--markdown', 'print the table as Markdown', false)
    .addHelpText('after', '\nA run that was cut continues with the same command.');
  addFarOptions(command, '; its workers then do the measuring, to the same figures');
  return addPictureOptions(command).action(async (options: CompareOptions, command: Command) => {
    const chosen = chooseContenders(options);
    // Before hours of work, not after.
    await requireUsable(folderOf(options));
    const earlier = options.add ? await comparisonToAddTo(options) : undefined;
    rivalOf(options, chosen, earlier);
    await requireWritableFolder(folderOf(options));
    const engine = await startBackend(command);
    await interruptible(async signal => {
      const { own, arena, places, close } = await loadNearOrFar(options);
      try {
        await compare(own, engine, chosen, { ...options, earlier, places, far: arena?.(signal) }, signal);
      } finally {
        await close();
      }
    });
  });
}

function names(text: string): string[] {
  const given = text.split(',').flatMap(name => name.trim() || []);
  if (given.length > 0) return given;
  throw new InvalidArgumentError('Give names with commas between them, such as uniform,teacache.');
}

/** Who does the work. */
interface Working {
  readonly places: number;
  readonly far: FarArena | undefined;
}

type Running = CompareOptions & Working & { readonly earlier: Comparison | undefined };

async function compare(
  pipeline: Pipeline,
  engine: EngineChoice,
  chosen: readonly Contender[],
  options: Running,
  signal: AbortSignal,
): Promise<void> {
  const { info } = pipeline;
  const { earlier } = options;
  const settled = earlier ? settledIn(earlier) : await settledBy(options, pipeline);
  const { steps, guidance, calibration, evaluation } = settled;
  const use = policyUse(info, guidance, pipeline.schedule({ steps, guidance }));
  const named = await Promise.all(
    options.policy.map(async called => ({ called, policy: await readNamedPolicy(called) })),
  );
  const all = contendersOf(options.ablation);
  const known = all.filter(({ name }) => chosen.some(c => c.name === name) || earlier?.request.methods.includes(name));
  const budgets = options.budgets ?? (earlier ? [] : usualBudgets(steps));
  const given = givenPolicies(named, {
    use,
    contenders: known,
    budgets: [...budgets, ...(earlier?.request.budgets ?? [])],
    evaluation,
  });
  const wanted = { methods: chosen.map(c => c.name), budgets: [...budgets], policies: given.listed };
  const of = earlier ? withAdded(earlier, wanted) : wanted;
  const compared = of.methods.map(name => contenderCalled(name, all));
  const fresh = beginComparison(
    info,
    compared,
    {
      ...settled,
      picture: pictureFacts(options),
      kind: options.ablation ? 'ablation' : 'methods',
      budgets: of.budgets,
      against: rivalOf(options, chosen, earlier),
      lpips: options.lpips ? await fileHash(options.lpips, MOST_LPIPS) : null,
      policies: of.policies,
    },
    { engine, command: commandLine(), ...(await thisMachine()) },
  );
  await encodeAhead(pipeline, promptRequests([...calibration, ...evaluation], { steps, guidance }), signal);
  await withStore(folderOf(options), fresh, { force: options.force, add: options.add }, async store => {
    const lpips = options.lpips ? createLpips(await readLpipsWeights(options.lpips)) : undefined;
    try {
      await fight(pipeline, store, compared, {
        given: given.byCell,
        lpips,
        signal,
        places: options.places,
        far: options.far,
      });
    } finally {
      lpips?.dispose();
    }
    const { comparison } = store;
    if (options.json) console.log(JSON.stringify(comparison, null, 2));
    else console.log(`\n${comparisonText(comparison, options.markdown ? 'markdown' : 'terminal')}`);
    process.stderr.write(`\nwrote ${store.path(COMPARISON_FILE)} and ${await page(store)}\n`);
  });
}

/** Runs the arena with a progress line, and leaves a page of what is done also when it is interrupted. */
async function fight(
  pipeline: Pipeline,
  store: DiskStore,
  chosen: readonly Contender[],
  arena: { given: Parameters<typeof runArena>[2]['given']; lpips?: Lpips | undefined; signal: AbortSignal } & Working,
): Promise<void> {
  const { steps, guidance, budgets, evaluation, calibration, batch } = store.comparison.request;
  let line: ReturnType<typeof progressLine> | undefined;
  try {
    await runArena(pipeline, store, {
      contenders: chosen,
      ...arena,
      async onPlan(plan: Plan) {
        const most = passesOf(plan.total);
        if (most === 0) return;
        const alone = await estimateSeconds(pipeline, calibration, plan.total, { batch, guidance });
        const seconds = alone / arena.places;
        process.stderr.write(
          `${store.continued ? 'Continuing' : 'Comparing'} ${chosen.length} methods at ${listText(budgets)} of ${steps} ` +
            `steps on ${evaluation.length} pairs, calibrated on ${calibration.length} others:\n` +
            `at most ${most.toLocaleString('en-US')} forward passes, ${durationText(seconds)}. ` +
            'Ctrl-C keeps what is done, and the same command continues.\n',
        );
        line = progressLine('comparing', most);
      },
      onProgress: (done, note) => line?.update(done, note),
      onCell(cell) {
        if (process.stderr.isTTY) return;
        const psnr = mean(cell.pairs.map(p => p.psnr));
        process.stderr.write(`done: ${cell.method}, ${passes(cell.budget)} steps, PSNR ${decibels(psnr)} dB\n`);
      },
    });
  } catch (error) {
    if (!ErtaError.isInstance(error) || error.code !== 'interrupted') throw error;
    line?.stop();
    if (store.comparison.cells.length > 0) process.stderr.write(`wrote ${await page(store)} of what is done\n`);
    const message = `Interrupted: what is done is in ${store.path()}, and the same command continues.`;
    throw new InterruptedError(message, error.cause);
  } finally {
    line?.stop();
  }
}

/** Writes the page. It draws charts with a large library, which no other command needs to wait for. */
async function page(store: DiskStore): Promise<string> {
  const { writePage } = await import('../../lab/report/page/write-page');
  return writePage(store);
}

/** The command as it was typed, quoted where a shell needs it. */
function commandLine(): string {
  const words = process.argv
    .slice(2)
    .map(word => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`));
  return ['ertacache', ...words].join(' ');
}
