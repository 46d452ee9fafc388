import { mayBeSteered, mixed } from '../../calibration/mixture';
import { splitPairs, steeredAway } from '../../calibration/pairs';
import { UsageError } from '../../errors';
import { given } from '../../io/given';
import { ABLATION_BASE, ablationRows } from '../../lab/compare/ablation';
import type { Asked } from '../../lab/compare/begin';
import type { Comparison } from '../../lab/compare/comparison';
import type { Contender } from '../../lab/compare/contender';
import { contenderCalled, contenders } from '../../lab/compare/contenders';
import { storedComparison } from '../../lab/compare/disk-store';
import { DEFAULT_METHOD } from '../../policy/source';
import type { Pipeline } from '../../sampling/pipeline';
import { promptsFor } from '../prompts';
import { idleNotes } from '../sample/notes';
import { type CompareOptions, folderOf } from './options';

/** The methods that the options name, in the order of the table; those of before need not be named. */
export function chooseContenders({ methods, ablation, add }: CompareOptions): readonly Contender[] {
  const all = contendersOf(ablation);
  if (methods) return [...new Set(methods)].map(name => contenderCalled(name, all));
  return add ? [] : all;
}

/** All rows that there are. */
export const contendersOf = (ablation: boolean): readonly Contender[] => (ablation ? ablationRows : contenders);

/** What the folder holds, to add what the options name. */
export async function comparisonToAddTo(options: CompareOptions): Promise<Comparison> {
  const { methods, budgets, ablation } = options;
  if (methods === undefined && budgets === undefined) {
    throw new UsageError('--add says nothing of what to add.', {
      hint: 'Give --methods, --budgets or both; policies are taken for these.',
    });
  }
  const earlier = await storedComparison(folderOf(options));
  if (ablation === (earlier.request.kind === 'ablation')) return earlier;
  throw new UsageError(`${folderOf(options)} holds a comparison with another kind of rows.`, {
    hint: ablation ? 'Omit --ablation.' : 'Add --ablation.',
  });
}

/** The method that the others are compared with: the one asked for, that of before, the usual one, or the last. */
export function rivalOf(
  { against, ablation }: CompareOptions,
  chosen: readonly Contender[],
  earlier?: Comparison,
): string {
  const names = [...chosen.map(c => c.name), ...(earlier?.request.methods ?? [])];
  if (against !== undefined) {
    const { name } = contenderCalled(against, contendersOf(ablation));
    if (names.includes(name)) return name;
    throw new UsageError(`The others cannot be compared with ${name}: it is not among the methods.`, {
      hint: `Add it: --methods ${[...chosen.map(c => c.name), name].join(',')}.`,
    });
  }
  if (earlier) return earlier.request.against;
  const usual = ablation ? ABLATION_BASE : DEFAULT_METHOD;
  return names.includes(usual) ? usual : (names.at(-1) as string);
}

/** What --add leaves as it is. */
type Settled = Pick<
  Asked,
  'steps' | 'guidance' | 'calibration' | 'evaluation' | 'batch' | 'trials' | 'worstWeight' | 'timed'
>;

/** What is settled since the comparison began. */
export function settledIn({ request }: Comparison): Settled {
  const { steps, guidance, calibration, evaluation, batch, trials, worstWeight, timed } = request;
  return { steps, guidance, calibration, evaluation, batch, trials, ...given({ worstWeight }), timed };
}

/** What the options settle of a comparison that begins. */
export async function settledBy(options: CompareOptions, pipeline: Pipeline): Promise<Settled> {
  const { info } = pipeline;
  const { batch, trials, worstWeight } = options;
  const steps = options.steps ?? info.defaults.steps;
  const guidance = options.guidance ?? info.defaults.guidance;
  for (const line of idleNotes({ ...options, guidance }, info)) process.stderr.write(line);
  const prompts = await promptsFor(info, options.prompts);
  const { calibration, evaluation: ordinary } = steeredAway(
    splitPairs(prompts, options.calibrationPairs, options.pairs),
    options.negativePrompt,
  );
  const steered = options.mixture > 0 && mayBeSteered(pipeline, { steps, guidance });
  const evaluation = mixed(ordinary, options.mixture, steered);
  return {
    steps,
    guidance,
    calibration: [...calibration],
    evaluation: [...evaluation],
    batch,
    trials,
    ...given({ worstWeight }),
    timed: Math.min(options.timedPairs, evaluation.length),
  };
}
