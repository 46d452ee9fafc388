import { IoError, PolicyError } from '../../errors';
import { lastPart } from '../../io/folder';
import { budgetsOf, computedBy } from '../../policy/budget';
import { type CoefficientFile, deserializePolicy } from '../../policy/bytes';
import type { Policy } from '../../policy/data';
import { policyHash } from '../../policy/hash';
import { type PolicySource, policiesInMemory } from '../../policy/source';
import type { PolicyFiles, PolicyInfo } from '../types';
import { addressKey, fetchLatest } from './fetch-blob';
import type { Storage } from './storage';

/** A policy, and what it is called. */
export interface NamedPolicy {
  readonly name: string;
  readonly policy: Policy;
}

/** Policies of a model, in the order in which they came. */
export interface Shelf {
  readonly all: readonly NamedPolicy[];
  /** Adds one, with the other budgets that it has; one of the same name is replaced. */
  add(named: NamedPolicy): void;
  /** By name or hash. @throws PolicyError naming those there are */
  find(nameOrHash: string): NamedPolicy;
  /** For `draw`, which looks for the one that fits. */
  source(): PolicySource;
}

/** What the policy of another budget of a policy's file is called. */
export const budgetName = ({ name }: NamedPolicy, policy: Policy): string => `${name}-${computedBy(policy)}`;

/** A place for policies. */
export function shelf(): Shelf {
  const all = new Map<string, NamedPolicy>();
  return {
    get all() {
      return [...all.values()];
    },
    add(named) {
      all.set(named.name, named);
      for (const policy of budgetsOf(named.policy)) {
        const name = budgetName(named, policy);
        if (computedBy(policy) !== computedBy(named.policy)) all.set(name, { name, policy });
      }
    },
    find(wanted) {
      const found = all.get(wanted) ?? [...all.values()].find(({ policy }) => policyHash(policy) === wanted);
      if (found) return found;
      throw new PolicyError(`There is no policy "${wanted}".`, {
        hint: `Policies: ${[...all.keys()].join(', ') || 'none'}.`,
      });
    },
    source: () => policiesInMemory(Object.fromEntries([...all].map(([name, { policy }]) => [name, policy]))),
  };
}

/** The policy in some files. @throws PolicyError saying what is wrong with them */
export async function readPolicyFiles({ json, coefficients, name }: PolicyFiles): Promise<NamedPolicy> {
  const policy = await deserializePolicy(
    json,
    async file => {
      if (coefficients) return { name: file, bytes: coefficients };
      throw new PolicyError(`The policy's coefficients, ${file}, are missing.`, {
        hint: 'Give both files of the policy, the .json and the .safetensors.',
      });
    },
    `${name ?? 'policy'}.json`,
  );
  return { name: name ?? `${policy.data.name}-${policyHash(policy)}`, policy };
}

/**
 * Policies from a server; as they were kept where it cannot be reached.
 * @param listed addresses of their JSON, or the address of a JSON list of such addresses, relative to itself
 * @throws IoError, PolicyError naming the file
 */
export async function fetchPolicies(
  listed: string | readonly string[],
  storage: Storage,
  signal?: AbortSignal,
): Promise<readonly NamedPolicy[]> {
  const bytesOf = (url: string): Promise<Blob> => latest(url, storage, signal);
  const addresses = typeof listed === 'string' ? await listedIn(listed, bytesOf) : listed;
  return Promise.all(addresses.map(address => fetchPolicy(address, bytesOf)));
}

async function latest(url: string, storage: Storage, signal: AbortSignal | undefined): Promise<Blob> {
  const found = await fetchLatest(url, storage, signal);
  if (!found) throw new IoError(`${url} does not exist.`, { hint: 'Check the address of the policy.' });
  if (!found.isKept) await storage.put(addressKey(url), found.blob);
  return found.blob;
}

async function listedIn(address: string, bytesOf: (url: string) => Promise<Blob>): Promise<readonly string[]> {
  const text = await (await bytesOf(address)).text();
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    list = undefined;
  }
  if (Array.isArray(list) && list.every(entry => typeof entry === 'string')) {
    return list.map(entry => new URL(entry, address).href);
  }
  throw new PolicyError(`${address} is no list of policies.`, { hint: 'It is a JSON array of addresses.' });
}

async function fetchPolicy(address: string, bytesOf: (url: string) => Promise<Blob>): Promise<NamedPolicy> {
  const beside = async (file: string): Promise<CoefficientFile> => {
    const url = new URL(file, address).href;
    return { name: url, bytes: new Uint8Array(await (await bytesOf(url)).arrayBuffer()) };
  };
  const policy = await deserializePolicy(await (await bytesOf(address)).text(), beside, address);
  return { name: lastPart(new URL(address).pathname).replace(/\.json$/, ''), policy };
}

/** What is told of a policy. */
export function policyInfo({ name, policy }: NamedPolicy): PolicyInfo {
  const { data } = policy;
  return {
    name,
    hash: policyHash(policy),
    steps: data.schedule.length,
    guidance: data.guidance,
    forwards: computedBy(policy),
    schedule: data.schedule,
    measured: data.measured,
  };
}
