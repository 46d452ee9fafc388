import { splitPairs } from '../../calibration/pairs';
import { DEFAULT_TRIALS } from '../../calibration/search/search';
import { UsageError } from '../../errors';
import { summarise } from '../../lab/compare/aggregate';
import { runArena } from '../../lab/compare/arena';
import { type Asked, beginComparison, usualBudgets } from '../../lab/compare/begin';
import { comparisonJson } from '../../lab/compare/comparison-json';
import type { Contender } from '../../lab/compare/contender';
import { contenderCalled, contenders } from '../../lab/compare/contenders';
import { givenPolicies } from '../../lab/compare/given';
import { memoryStore } from '../../lab/compare/memory-store';
import { passesOf } from '../../lab/compare/plan';
import type { Pair } from '../../policy/pair';
import { DEFAULT_METHOD } from '../../policy/source';
import type { PipelineInfo } from '../../sampling/pipeline';
import type { Calls } from '../protocol';
import type { BackendInfo, ComparedWhole, CompareRequest } from '../types';
import { watch } from './progress';
import type { Entry, Job } from './session';
import { thisBrowser } from './this-browser';

const USUAL_PAIRS = 8;

/** Compares methods on a model. */
export async function compareFor(
  { pipeline, policies }: Entry,
  request: CompareRequest,
  backend: BackendInfo,
  { signal, tell }: Job<Calls['compare']['told']>,
): Promise<ComparedWhole> {
  const { info } = pipeline;
  const chosen = request.methods ? [...new Set(request.methods)].map(name => contenderCalled(name)) : contenders;
  const steps = request.steps ?? info.defaults.steps;
  const guidance = request.guidance ?? info.defaults.guidance;
  const { calibration, evaluation } = pairsOf(info, request);
  const use = {
    model: info,
    scheduler: info.schedulerClass,
    guidance,
    sigmas: pipeline.schedule({ steps, guidance }).sigmas,
  };
  const named = (request.policies ?? []).map(name => ({ called: name, policy: policies.find(name).policy }));
  const budgets = request.budgets ?? usualBudgets(steps);
  const given = givenPolicies(named, { use, contenders: chosen, budgets, evaluation });
  const asked: Asked = {
    steps,
    guidance,
    picture: {},
    kind: 'methods',
    budgets: [...budgets],
    against: rivalOf(request.against, chosen),
    calibration: [...calibration],
    evaluation: [...evaluation],
    batch: request.batch ?? USUAL_PAIRS,
    trials: request.trials ?? DEFAULT_TRIALS,
    timed: Math.min(request.timedPairs ?? 1, evaluation.length),
    lpips: null,
    policies: given.listed,
  };
  const how = { engine: backend, command: 'compare, in a page', ...thisBrowser() };
  const store = memoryStore(beginComparison(info, chosen, asked, how));
  const { comparison } = store;
  const progress = watch(value => tell('progress', value));
  let total = 0;
  await runArena(pipeline, store, {
    contenders: chosen,
    given: given.byCell,
    signal,
    onPlan(plan) {
      total = passesOf(plan.total);
    },
    onProgress: (done, note) => progress.at(done, total, note),
    onCell: () => tell('row', { comparison, rows: summarise(comparison) }),
  });
  progress.at(total, total, 'done');
  return { comparison, rows: summarise(comparison), json: comparisonJson(comparison, 'The comparison') };
}

/** Pairs to calibrate and to compare on, which share no prompt. */
function pairsOf(
  info: PipelineInfo,
  { prompts = info.prompts, pairs = USUAL_PAIRS, calibrationPairs = 8 }: CompareRequest,
) {
  if (typeof pairs === 'number') {
    if (prompts.length === 0) throw noPrompts(info);
    return splitPairs(prompts, calibrationPairs, pairs);
  }
  const shown = new Set(pairs.map(pair => pair.prompt));
  const others = prompts.filter(prompt => !shown.has(prompt));
  if (others.length < 2) throw noPrompts(info);
  return {
    calibration: splitPairs(others, calibrationPairs, 0).calibration,
    evaluation: pairs satisfies readonly Pair[],
  };
}

function noPrompts({ id }: PipelineInfo): UsageError {
  return new UsageError(`There are too few prompts to calibrate ${id} on beside those to compare on.`, {
    hint: 'Give at least two of them as prompts.',
  });
}

/** The method that the others are compared with: the one asked for, the usual one, or the last. */
function rivalOf(against: string | undefined, chosen: readonly Contender[]): string {
  if (against !== undefined) return contenderCalled(against, chosen).name;
  return chosen.some(c => c.name === DEFAULT_METHOD) ? DEFAULT_METHOD : (chosen.at(-1) as Contender).name;
}
