import { isDeepStrictEqual } from 'node:util';
import { UsageError } from '../../errors';
import { type Comparison, type ComparisonRequest, cellOf } from './comparison';
import { isSettled } from './plan';

/** What may be added to a comparison. */
type Addition = Pick<ComparisonRequest, 'methods' | 'budgets' | 'policies'>;

/**
 * What a comparison is of when methods or budgets are added to it.
 * @throws UsageError where a policy is given for what is measured already
 */
export function withAdded(earlier: Comparison, wanted: Addition): Addition {
  const { methods, budgets, policies } = earlier.request;
  const isMeasured = ({ method, computed }: { readonly method: string; readonly computed: number }): boolean =>
    cellOf(earlier, method, computed) !== undefined;
  const late = wanted.policies.find(each => isMeasured(each) && !policies.some(p => isDeepStrictEqual(p, each)));
  if (late) {
    throw new UsageError(`${late.method} at ${late.computed} steps is measured already, by another policy.`, {
      hint: 'Choose another --out, or begin anew with --force.',
    });
  }
  return {
    methods: [...new Set([...methods, ...wanted.methods])],
    budgets: inOrder(budgets, wanted.budgets),
    // One that was listed for a cell which is still to be measured is calibrated now, unless it is given again.
    policies: [...policies.filter(isMeasured), ...wanted.policies.filter(each => !isMeasured(each))],
  };
}

/** The same comparison with more to measure: everything that is done stays. */
export function grown(earlier: Comparison, fresh: Comparison): Comparison {
  const { methods, budgets } = fresh.request;
  const isDone = methods.every(method => budgets.every(budget => isSettled(earlier, method, budget)));
  const { command } = earlier;
  return {
    ...earlier,
    state: isDone ? earlier.state : 'running',
    command: command.split('\n').includes(fresh.command) ? command : `${command}\n${fresh.command}`,
    request: fresh.request,
    methods: fresh.methods,
  };
}

/** Budgets in the order of the earlier ones: fewest computed steps first, or last. */
function inOrder(earlier: readonly number[], more: readonly number[]): number[] {
  const [first = 0, second = 0] = earlier;
  const sign = first < second ? 1 : -1;
  return [...new Set([...earlier, ...more])].sort((a, b) => sign * (a - b));
}
