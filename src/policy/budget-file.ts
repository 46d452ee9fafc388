import { z } from 'zod';
import { PolicyError } from '../errors';
import { canonicalJson } from '../io/canonical-json';
import { MOST } from '../io/counts';
import { computedSteps, type PolicyData, parsePolicy, reusedOf } from './data';

/** What a file says of one of its budgets: all but what they have in common. */
const entrySchema = z.record(z.string(), z.unknown());
const fileSchema = z.object({ budgets: z.array(entrySchema).max(MOST.steps).optional() });

/** What all budgets of a file have in common, and what a budget may not say otherwise. */
const SHARED = [
  'format',
  'version',
  'name',
  'model',
  'scheduler',
  'guidance',
  'guidanceRange',
  'steering',
  'sigmas',
  'calibration',
] as const;

/**
 * What the file of a policy says of one of its budgets.
 * @param head the policy that the file is otherwise
 * @throws PolicyError unless they are of one model and one run
 */
export function ownFields(data: PolicyData, head: PolicyData): Record<string, unknown> {
  const { gap, ...calibration } = data.calibration;
  const { gap: _, ...common } = head.calibration;
  const [ours, theirs] = [
    { ...data, calibration },
    { ...head, calibration: common },
  ];
  const foreign = SHARED.find(name => canonicalJson(ours[name]) !== canonicalJson(theirs[name]));
  if (foreign !== undefined) {
    throw new PolicyError(`Budgets of one policy differ in ${foreign}.`, {
      hint: 'Only policies of one calibration go into one file.',
    });
  }
  const own = Object.entries(data).filter(([name]) => !SHARED.includes(name as never));
  return { ...Object.fromEntries(own), ...(gap && { gap }) };
}

/**
 * The policies of all budgets that a file's JSON tells of, from the fewest computed steps to the most.
 * @param head the policy that the file is otherwise
 * @throws PolicyError naming the field that is wrong
 */
export function budgetData(json: unknown, head: PolicyData, where: string): PolicyData[] {
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    throw new PolicyError(`${where} is not a policy of ertacache: its budgets are no list of policies.`, {
      hint: 'Calibrate it again.',
    });
  }
  const { gap: _, ...calibration } = head.calibration;
  const shared = Object.fromEntries(SHARED.map(name => [name, head[name]]));
  const all = (parsed.data.budgets ?? []).map(({ gap, ...own }, i) =>
    parsePolicy(
      {
        ...head,
        hash: undefined,
        bound: undefined,
        ...own,
        ...shared,
        calibration: { ...calibration, ...(gap !== undefined && { gap }) },
      },
      `${where}, budget ${i + 1},`,
    ),
  );
  const computed = all.map(({ schedule }) => computedSteps(reusedOf(schedule)));
  if (computed.every((count, i) => i === 0 || count > (computed[i - 1] as number))) return all;
  throw new PolicyError(`${where} contradicts itself: its budgets do not grow.`, { hint: 'Calibrate it again.' });
}
