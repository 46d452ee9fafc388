import { fidelityOf, scorePolicies, scorePolicy } from '../../calibration/measure';
import { unusualGroups, unusualPairs } from '../../calibration/mixture';
import { heldOutPairs } from '../../calibration/pairs';
import { ErtaError, InterruptedError } from '../../errors';
import { budgetsOf, measuredPsnr } from '../../policy/budget';
import type { Fidelity, Policy, PolicyData } from '../../policy/data';
import { writePolicy } from '../../policy/file';
import { policyHash } from '../../policy/hash';
import type { Pair, PromptGroup } from '../../policy/pair';
import type { Pipeline } from '../../sampling/pipeline';

/** Writes a policy before it is measured: hours of calibration are not lost with what comes after them. */
export async function keptMeanwhile<T>(file: string, policy: Policy, measure: () => Promise<T>): Promise<T> {
  await writePolicy(file, policy);
  try {
    return await measure();
  } catch (error) {
    if (ErtaError.isInstance(error) && error.code === 'interrupted') {
      throw new InterruptedError(`Interrupted: ${file} holds the policy, not measured to its end.`, error.cause);
    }
    console.log(`wrote ${file}, not measured to its end`);
    throw error;
  }
}

/** Every budget with what it keeps on the same held-out pairs. */
export async function measuredBudgets(
  pipeline: Pipeline,
  policy: Policy,
  evaluation: readonly Pair[],
  options: Parameters<typeof scorePolicies>[3],
): Promise<Policy[]> {
  const all = budgetsOf(policy);
  const unseen = heldOutPairs(evaluation, policyHash(policy));
  const scores = unseen.length > 0 ? await scorePolicies(pipeline, all, unseen, options) : [];
  return all.map((each, i): Policy => {
    const own = scores[i];
    return own ? { ...each, data: { ...each.data, measured: { heldOut: fidelityOf(own) } } } : each;
  });
}

/** Of what was measured on the same pairs: a budget that keeps less than a smaller one is of no use. */
export function growing(measured: readonly Policy[]): Policy[] {
  let most = Number.NEGATIVE_INFINITY;
  return measured.filter(each => {
    const psnr = measuredPsnr(each);
    if (psnr !== undefined && psnr < most) return false;
    most = psnr ?? most;
    return true;
  });
}

/**
 * Held-out pairs of every unusual kind: a quarter as many of each as there are ordinary ones.
 * @param steered whether negative prompts do something
 */
export function unusualHeldOut(evaluation: readonly Pair[], steered: boolean): Pair[] {
  const each = Math.ceil(evaluation.length / 4);
  return unusualGroups.flatMap((group, g) =>
    group === 'negative' && !steered ? [] : unusualPairs(evaluation, group, g * each, evaluation.length && each),
  );
}

/** What a policy keeps of each kind, on noise that nothing has seen. */
export async function groupFidelities(
  pipeline: Pipeline,
  policy: Policy,
  unusual: readonly Pair[],
  options: Parameters<typeof scorePolicy>[3],
): Promise<PolicyData['measured']['groups']> {
  const unseen = heldOutPairs(unusual, policyHash(policy));
  const scores = await scorePolicy(pipeline, policy, unseen, options);
  const ofGroup = (group: PromptGroup): Fidelity => fidelityOf(scores.filter((_, i) => unusual[i]?.group === group));
  const groups = unusualGroups.filter(group => unusual.some(p => p.group === group));
  return Object.fromEntries(groups.map(group => [group, ofGroup(group)]));
}
