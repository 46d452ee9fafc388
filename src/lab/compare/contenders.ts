import { coarseGrid, coarseMultistep } from '../../cache/coarse-grid';
import { forecasting, taylorForecast } from '../../cache/forecast';
import type { CachePolicy } from '../../cache/policy';
import {
  type Budget,
  type CalibratedMethod,
  type ChosenMethod,
  type Method,
  type ModelFacts,
  methods,
  type ScheduledMethod,
  type ThresholdMethod,
  type Variant,
} from '../../cache/registry';
import type { NamedSchedule } from '../../cache/uniform';
import { chooseVariant, runsAtMost } from '../../calibration/choose-variant';
import { requireMovable } from '../../calibration/jobs';
import { ceilingAt } from '../../calibration/quality';
import { thresholdAtBudget } from '../../calibration/tune-threshold';
import { UsageError } from '../../errors';
import { type Policy, policySettings, reusedOf } from '../../policy/data';
import { DEFAULT_METHOD } from '../../policy/source';
import type { Job } from '../../sampling/pipeline';
import type { Bench } from './bench';
import type { Contender, Passes, Prepared } from './contender';
import { preparedWith, type Recipe, recipeCost, recipePolicy } from './recipe';

/** How the calibrated methods of the registry are calibrated. */
const recipes: Readonly<Record<string, Recipe>> = {
  ertacache: { rectify: 'lsq' },
  'ertacache-paper': { site: 'output', search: 'walk', timestep: 'global', rectify: 'linear' },
  'ertacache-paper-untimed': { site: 'output', search: 'walk', rectify: 'linear' },
};

/** The grid of the honest baselines gets the same search as ERTACache, judged by plain velocities. */
const GRID = 'fewer-steps-searched';
const gridRecipe: Recipe = { site: 'velocity', rectify: 'off' };

function onGrid(create: (reused: readonly boolean[]) => CachePolicy): Pick<Contender, 'cost' | 'prepare'> {
  const ready = calibrated(GRID, gridRecipe, ({ data }) => create(reusedOf(data.schedule)));
  return {
    ...ready,
    async prepare(budget, bench) {
      requireMovable((await bench.singles())[0] as Job);
      return ready.prepare(budget, bench);
    },
  };
}

const searched: readonly Contender[] = [
  {
    name: GRID,
    title: 'Fewer searched steps',
    summary: 'Fewer, longer steps on a grid that is searched on the calibration pairs; nothing is cached.',
    dynamic: false,
    ...onGrid(coarseGrid),
  },
  {
    name: 'multistep-searched',
    title: 'Fewer second-order steps',
    summary:
      'The same searched grid with steps of second order (Adams–Bashforth): nearer to the exact path than the uncached run, which is not what is asked.',
    dynamic: false,
    ...onGrid(coarseMultistep),
  },
];

/** ERTACache's schedule with a forecast that is not fitted: what is left is what the least squares add. */
const TAYLOR = 'taylor-searched';

const onSearched: Contender = {
  name: TAYLOR,
  title: 'Taylor on our schedule',
  summary: "TaylorSeer's forecast of the output, on the schedule that ERTACache's search finds.",
  source: 'arXiv 2503.06923',
  dynamic: false,
  after: DEFAULT_METHOD,
  cost: (budget, bench) => addPasses(searchCost(budget, bench), choiceCost(2, budget, bench)),
  async prepare(budget, bench) {
    const { schedules, passes } = await searchedSchedules(budget, bench);
    const variants = schedules.flatMap(({ reused }) =>
      [1, 2].map(order => ({
        setting: `order ${order}`,
        policy: forecasting({ name: TAYLOR, reused, forecast: taylorForecast(order) }),
      })),
    );
    return chosen({ name: TAYLOR, ...budget }, { variants, passes }, bench);
  },
};

/** The schedule of the policy that ERTACache has at a budget. */
async function searchedSchedules(
  budget: Budget,
  bench: Bench,
): Promise<{ readonly schedules: readonly NamedSchedule[]; readonly passes: number }> {
  const { data } = await recipePolicy(DEFAULT_METHOD, recipes[DEFAULT_METHOD] as Recipe, budget, bench);
  return {
    schedules: [{ setting: "ERTACache's schedule", reused: reusedOf(data.schedule) }],
    passes: data.calibration.forwards,
  };
}

const searchCost = (budget: Budget, bench: Bench): Passes =>
  recipeCost(recipes[DEFAULT_METHOD] as Recipe, budget, bench);

/** What choosing among some settings costs at most, the uncached runs included. */
function choiceCost(variants: number, { steps, computed }: Budget, { pairs, batch }: Bench): Passes {
  const runs = runsAtMost(variants, pairs.length, batch);
  return { batched: runs === 0 ? 0 : runs * computed + pairs.length * steps, single: 0 };
}

const addPasses = (a: Passes, b: Passes): Passes => ({ batched: a.batched + b.batched, single: a.single + b.single });

/** Ready at the setting that does best on the calibration pairs. @param passes what finding the settings cost */
async function chosen(
  { name, computed }: Pick<Budget, 'computed'> & { readonly name: string },
  { variants, passes = 0 }: { readonly variants: readonly Variant[]; readonly passes?: number },
  bench: Bench,
): Promise<Prepared> {
  if (variants.length === 0) throw new UsageError('No setting of it computes so many steps.');
  const choice = await bench.choice(name, computed, async () => {
    const { variant, spent } = await chooseVariant(variants, await bench.targets(), {
      ...(bench.signal && { signal: bench.signal }),
      worstWeight: bench.worstWeight,
      ceiling: ceilingAt(computed, bench.steps),
      onStep: (step, sample) => bench.onPasses(step.forwards * (sample.shape[0] as number)),
    });
    return { value: variants.indexOf(variant), spent };
  });
  const { policy, setting } = variants[choice.value] as Variant;
  return { policy, setting, passes: passes + choice.spent, choice };
}

const isBaseline = ({ name }: Method): boolean => name === 'fewer-steps';

/** Everything that can be compared, what uses no cache first. */
export const contenders: readonly Contender[] = [
  ...methods.filter(isBaseline).map(fromRegistry),
  ...searched,
  ...methods
    .filter(m => m.name !== 'none' && !isBaseline(m))
    .flatMap(m => {
      return m.name === DEFAULT_METHOD ? [onSearched, fromRegistry(m)] : [fromRegistry(m)];
    }),
];

/** @throws UsageError naming the methods there are */
export function contenderCalled(name: string, among: readonly Contender[] = contenders): Contender {
  const found = among.find(c => c.name === name);
  if (found) return found;
  throw new UsageError(`"${name}" is no method that can be compared.`, {
    hint: `Methods: ${among.map(c => c.name).join(', ')}.`,
  });
}

function fromRegistry(method: Method): Contender {
  const { name, title, summary, source, dynamic } = method;
  return {
    name,
    title,
    summary,
    dynamic,
    ...(source && { source }),
    ...(method.kind === 'chosen' && method.usesSearched && { after: DEFAULT_METHOD }),
    ...((method.kind === 'chosen' || method.kind === 'threshold') && { needsFacts: method.needs !== undefined }),
    ...ready(method),
  };
}

function ready(method: Method): Pick<Contender, 'cost' | 'prepare'> {
  if (method.kind === 'calibrated') return calibratedMethod(method);
  if (method.kind === 'chosen') return chosenMethod(method);
  return budgetedMethod(method);
}

/** About as many settings as methods have whose settings depend on what is measured. */
const USUAL_VARIANTS = 40;

function chosenMethod(method: ChosenMethod): Pick<Contender, 'cost' | 'prepare'> {
  return {
    cost(budget, bench) {
      const facts = { batched: 0, single: method.needs ? bench.pairs.length * budget.steps : 0 };
      const search = method.usesSearched ? searchCost(budget, bench) : { batched: 0, single: 0 };
      const variants = method.needs ? USUAL_VARIANTS : method.variants(budget, NO_FACTS, []).length;
      return addPasses(addPasses(facts, search), choiceCost(variants, budget, bench));
    },
    async prepare(budget, bench) {
      const facts = method.needs ? await bench.facts() : NO_FACTS;
      const { schedules, passes } = method.usesSearched
        ? await searchedSchedules(budget, bench)
        : { schedules: [], passes: 0 };
      const variants = method.variants(budget, facts, schedules);
      return chosen({ name: method.name, ...budget }, { variants, passes }, bench);
    },
  };
}

const NO_FACTS: ModelFacts = { polynomial: [], ratios: [], history: [] };

function calibratedMethod(method: CalibratedMethod): Pick<Contender, 'cost' | 'prepare'> {
  return calibrated(method.name, recipes[method.name] ?? {}, (policy, guidance) =>
    method.create(policySettings(policy, guidance)),
  );
}

/** Ready from a policy that is calibrated by a recipe, or given: one of a range is taken at the guidance of the bench. */
function calibrated(
  name: string,
  recipe: Recipe,
  create: (policy: Policy, guidance: number) => CachePolicy,
): Pick<Contender, 'cost' | 'prepare'> {
  return {
    cost: (budget, bench) => recipeCost(recipe, budget, bench),
    async prepare(budget, bench) {
      const policy = await recipePolicy(name, recipe, budget, bench);
      return preparedWith(policy, create(policy, bench.guidance));
    },
  };
}

/** Thresholds that are usually tried, each on all calibration pairs. */
const USUAL_TRIES = 8;

/** Ready from the budget alone, or with a threshold that meets it. */
function budgetedMethod(method: ScheduledMethod | ThresholdMethod): Pick<Contender, 'cost' | 'prepare'> {
  const tunes = method.kind === 'threshold' && !method.computedSteps;
  const needsFacts = method.kind === 'threshold' && method.needs !== undefined;
  return {
    cost(budget, bench) {
      const { computed, steps } = budget;
      const { pairs } = bench;
      const perPair = (tunes ? USUAL_TRIES * computed : 0) + (needsFacts ? steps : 0);
      const usual = method.variants ? USUAL_VARIANTS : 0;
      const variants = method.kind === 'scheduled' ? (method.variants?.(budget).length ?? 0) : usual;
      const choice = choiceCost(variants, budget, bench).batched;
      return { batched: choice, single: pairs.length * perPair };
    },
    async prepare(budget, bench) {
      const facts = needsFacts ? await bench.facts() : NO_FACTS;
      const variants = method.variants?.(budget, facts) ?? [];
      if (variants.length > 0) return chosen({ name: method.name, ...budget }, { variants }, bench);
      if (method.kind === 'scheduled') return { policy: method.create(budget), passes: 0 };
      const choice = await bench.choice(method.name, budget.computed, async () => {
        const { threshold, spent } = await thresholdAtBudget(
          method,
          budget,
          tunes ? await bench.singles() : [],
          facts,
          {
            ...(bench.signal && { signal: bench.signal }),
            onTry: (_threshold, cost, pairs) => bench.onPasses(cost.forwards * pairs),
          },
        );
        return { value: threshold, spent };
      });
      const setting = `threshold ${Number(choice.value.toPrecision(3))}`;
      return { policy: method.create(choice.value, facts), passes: choice.spent, setting, choice };
    },
  };
}
