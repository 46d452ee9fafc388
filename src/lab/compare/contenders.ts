import { coarseGrid, coarseMultistep } from '../../cache/coarse-grid';
import type { CachePolicy } from '../../cache/policy';
import {
  type CalibratedMethod,
  type Method,
  methods,
  type ScheduledMethod,
  type ThresholdMethod,
} from '../../cache/registry';
import { methodAtBudget } from '../../calibration/tune-threshold';
import { UsageError } from '../../errors';
import { type Policy, policySettings, reusedOf } from '../../policy/data';
import type { Contender } from './contender';
import { preparedWith, type Recipe, recipeCost, recipePolicy } from './recipe';

/** How the calibrated methods of the registry are calibrated. */
const recipes: Readonly<Record<string, Recipe>> = {
  ertacache: { rectify: 'lsq' },
  'ertacache-paper': { site: 'output', search: 'walk', timestep: 'global', rectify: 'linear' },
};

/** The grid of the honest baselines gets the same search as ERTACache, judged by plain velocities. */
const GRID = 'fewer-steps-searched';
const gridRecipe: Recipe = { site: 'velocity', rectify: 'off' };

const onGrid = (create: (reused: readonly boolean[]) => CachePolicy) =>
  calibrated(GRID, gridRecipe, ({ data }) => create(reusedOf(data.schedule)));

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

const isBaseline = ({ name }: Method): boolean => name === 'fewer-steps';

/** Everything that can be compared, what uses no cache first. */
export const contenders: readonly Contender[] = [
  ...methods.filter(isBaseline).map(fromRegistry),
  ...searched,
  ...methods.filter(m => m.name !== 'none' && !isBaseline(m)).map(fromRegistry),
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
    ...(method.kind === 'calibrated' ? calibratedMethod(method) : budgetedMethod(method)),
  };
}

function calibratedMethod(method: CalibratedMethod): Pick<Contender, 'cost' | 'prepare'> {
  return calibrated(method.name, recipes[method.name] ?? {}, policy => method.create(policySettings(policy)));
}

/** Ready from a policy that is calibrated by a recipe. */
function calibrated(
  name: string,
  recipe: Recipe,
  create: (policy: Policy) => CachePolicy,
): Pick<Contender, 'cost' | 'prepare'> {
  return {
    cost: (budget, bench) => recipeCost(recipe, budget, bench),
    async prepare(budget, bench) {
      const policy = await recipePolicy(name, recipe, budget, bench);
      return preparedWith(policy, create(policy));
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
    cost({ computed, steps }, { pairs }) {
      const perPair = (tunes ? USUAL_TRIES * computed : 0) + (needsFacts ? steps : 0);
      return { batched: 0, single: pairs.length * perPair };
    },
    async prepare(budget, bench) {
      const facts = needsFacts ? await bench.facts() : { polynomial: [], ratios: [] };
      const { policy, tuned } = await methodAtBudget(method, budget, tunes ? await bench.singles() : [], facts, {
        ...(bench.signal && { signal: bench.signal }),
        onTry: (_threshold, cost, pairs) => bench.onPasses(cost.forwards * pairs),
      });
      const setting = tuned && `threshold ${Number(tuned.threshold.toPrecision(3))}`;
      return { policy, passes: tuned?.spent ?? 0, ...(setting && { setting }) };
    },
  };
}
