import { grown, withAdded } from '../../../src/lab/compare/add';
import type { Cell, Comparison } from '../../../src/lab/compare/comparison';

const policy = (computed: number, hash: string) => ({ method: 'ertacache', computed, hash });
const cell = (method: string, budget: number) => ({ method, budget }) as Cell;

/** A comparison of `ertacache`, with what the table of methods and budgets needs. */
function comparison(budgets: number[], cells: Cell[], policies = [policy(15, 'a')]): Comparison {
  return {
    state: 'complete',
    command: 'one',
    request: { methods: ['ertacache'], budgets, policies },
    methods: [{ name: 'ertacache' }],
    cells,
    refused: [],
  } as unknown as Comparison;
}

test.each([
  [[15], [10, 20], [20, 15, 10]],
  [
    [15, 10],
    [20, 10],
    [20, 15, 10],
  ],
  [[5, 6, 7], [4], [4, 5, 6, 7]],
])('budgets %j and %j stand in the order of the first ones', (before, more, both) => {
  const wanted = { methods: [], budgets: more, policies: [] };
  expect(withAdded(comparison(before, []), wanted).budgets).toEqual(both);
});

test('methods that are added stand behind those that are there', () => {
  const wanted = { methods: ['uniform', 'ertacache'], budgets: [], policies: [] };
  expect(withAdded(comparison([15], []), wanted).methods).toEqual(['ertacache', 'uniform']);
});

test('policies of measured cells stay listed; others are those given now', () => {
  const measured = comparison([15], [cell('ertacache', 15)], [policy(15, 'a'), policy(10, 'b')]);
  const added = (policies: ReturnType<typeof policy>[]) =>
    withAdded(measured, { methods: [], budgets: [10], policies }).policies;
  // The one for 10 was listed and not used: now 10 is calibrated.
  expect(added([])).toEqual([policy(15, 'a')]);
  expect(added([policy(15, 'a'), policy(10, 'c')])).toEqual([policy(15, 'a'), policy(10, 'c')]);
  expect(() => added([policy(15, 'z')])).toThrow('ertacache at 15 steps is measured already, by another policy.');
});

test('a comparison that grew has more to measure, one that did not has not', () => {
  const earlier = comparison([15], [cell('ertacache', 15)]);
  const same = grown(earlier, { ...earlier, command: 'one' });
  expect(same).toMatchObject({ state: 'complete', command: 'one' });
  const more = grown(earlier, { ...comparison([15, 10], []), command: 'two' });
  expect(more).toMatchObject({ state: 'running', command: 'one\ntwo', request: { budgets: [15, 10] } });
  expect(more.cells).toEqual(earlier.cells);
});
