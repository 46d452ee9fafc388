import { ertacache } from '../../cache/ertacache';
import { type SiteName, siteNames } from '../../cache/sites';
import { uniform } from '../../cache/uniform';
import { policySettings, reusedOf } from '../../policy/data';
import type { Contender } from './contender';
import { preparedWith, type Recipe, recipeCost, recipePolicy } from './recipe';

/** The row that all others of an ablation are compared with. */
export const ABLATION_BASE = 'hidden-uniform';

/** What is added to the paper's schedule: parts alone, and parts on top of each other. */
const additions: readonly Recipe[] = [
  { timestep: 'global' },
  { timestep: 'cycle' },
  { rectify: 'linear' },
  { rectify: 'sigmoid' },
  { rectify: 'lsq' },
  { timestep: 'global', rectify: 'linear' },
  { timestep: 'cycle', rectify: 'linear' },
  { timestep: 'cycle', rectify: 'lsq' },
];

/** The rows of the ablation: the parts of the method at every site. */
export const ablationRows: readonly Contender[] = siteNames.flatMap(site => [
  uniformRow(site),
  policyRow(site, {}),
  ...additions.map(parts => policyRow(site, parts)),
]);

function uniformRow(site: SiteName): Contender {
  return {
    name: `${site}-uniform`,
    title: `${site}: uniform`,
    summary: 'Evenly spread steps are computed; nothing is calibrated.',
    dynamic: false,
    cost: () => ({ batched: 0, single: 0 }),
    prepare: async ({ steps, computed }) => ({ policy: uniform(steps, computed, site), passes: 0 }),
  };
}

function policyRow(site: SiteName, { timestep, rectify }: Recipe): Contender {
  const schedule = { name: `${site}-policy`, recipe: { site, search: 'walk' } satisfies Recipe };
  const added = [timestep && `timestep (${timestep})`, rectify && `rectification (${rectify})`].filter(Boolean);
  const name = [schedule.name, timestep, rectify].filter(Boolean).join('-');
  return {
    name,
    title: `${site}: ${['policy', ...added].join(' + ')}`,
    summary: "The paper's calibrated schedule with what the title adds to it.",
    dynamic: false,
    ...(added.length > 0 && { after: schedule.name }),
    cost(budget, bench) {
      const search = added.length === 0 ? 'walk' : Array<boolean>(budget.steps).fill(false);
      return recipeCost({ site, timestep, rectify, search }, budget, bench);
    },
    async prepare(budget, bench) {
      // All rows of a site share its schedule, so that only the parts differ.
      const base = await recipePolicy(schedule.name, schedule.recipe, budget, bench);
      const recipe = { site, timestep, rectify, search: reusedOf(base.data.schedule) };
      const policy = added.length === 0 ? base : await recipePolicy(name, recipe, budget, bench);
      return preparedWith(policy, ertacache(policySettings(policy, bench.guidance)));
    },
  };
}
