import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import type { Receipt } from '../../draw/receipt';
import { PolicyError } from '../../errors';
import { isFile } from '../../io/node-file';
import { type Policy, type PolicyUse, requireFits } from '../../policy/data';
import { policyHash, readPolicy } from '../../policy/file';
import { defaultPolicy, policyByHash } from '../../policy/find';
import { usePolicy } from '../../policy/use';
import type { PipelineInfo } from '../../sampling/pipeline';

/** A policy, and the file it came from. */
export interface Chosen {
  readonly policy: Policy;
  readonly path?: string;
}

/** What is said of a policy in a receipt. */
export function policyReceipt(chosen: Chosen | undefined): Receipt['policy'] {
  if (!chosen) return null;
  const { policy, path } = chosen;
  return { name: policy.data.name, hash: policyHash(policy), ...(path && { path }) };
}

/**
 * The policy that the command line asks for.
 * @returns nothing where every step is to be computed
 */
export async function choosePolicy(name: string, use: PolicyUse): Promise<Chosen | undefined> {
  if (name === 'none') return undefined;
  if (name !== 'auto') return { policy: await readPolicy(name), path: name };
  const policy = await defaultPolicy(use);
  if (policy) return { policy };
  const steps = use.sigmas.length - 1;
  process.stderr.write(
    `No shipped policy fits ${use.model.id} at ${steps} steps and guidance ${use.guidance}: every step is computed. ` +
      'Make one with `ertacache calibrate`.\n',
  );
  return undefined;
}

/**
 * Refuses a policy file for what is known before anything is loaded: its model, sampler, guidance and number of steps.
 * Encoding a prompt only to refuse the policy afterwards would waste minutes.
 */
export async function checkPolicyFile(
  name: string,
  info: PipelineInfo,
  { steps = info.defaults.steps, guidance = info.defaults.guidance }: { steps?: number; guidance?: number },
): Promise<void> {
  if (name === 'none' || name === 'auto') return;
  const { data } = await readPolicy(name);
  const sigmas = data.sigmas.length - 1 === steps ? data.sigmas : Array.from({ length: steps + 1 }, () => 0);
  requireFits(data, { model: info, scheduler: info.schedulerClass, guidance, sigmas });
}

/** The very policy that made a picture: from its file if that is unchanged, else the shipped one of the same hash. */
export async function policyOfReceipt({ name, hash, path }: NonNullable<Receipt['policy']>): Promise<Chosen> {
  if (path && (await isFile(path))) {
    const policy = await readPolicy(path);
    if (policyHash(policy) === hash) return { policy, path };
  }
  const policy = await policyByHash(hash);
  if (policy) return { policy };
  throw new PolicyError(`The policy "${name}" (${hash}) that made the picture is not here any more.`, {
    hint: path ? `Put ${path} back as it was.` : 'Use the version of ertacache that made the picture.',
  });
}

/** The cache of a run. @throws PolicyError when the policy is not for it */
export function cacheOf(chosen: Chosen | undefined, use: PolicyUse): CachePolicy {
  return chosen ? usePolicy(chosen.policy, use) : none();
}
