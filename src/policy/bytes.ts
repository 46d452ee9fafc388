import { checkRectification } from '../cache/check-rectify';
import type { Rectification } from '../cache/rectify';
import { PolicyError } from '../errors';
import { sha256 } from '../io/sha256';
import { computedBy } from './budget';
import { budgetData, ownFields } from './budget-file';
import { decodeRectification, encodeCoefficients, plainRectify } from './coefficients';
import { computedSteps, type Policy, type PolicyData, parsePolicy, reusedOf } from './data';
import { policyHash } from './hash';

/** A policy as it is stored: two files, of which the second is missing where nothing is rectified. */
export interface PolicyBytes {
  /** What goes into `NAME.json`. */
  readonly json: string;
  /** What goes into `NAME.safetensors`, which the JSON names and vouches for. */
  readonly coefficients?: Uint8Array<ArrayBuffer>;
}

/**
 * A policy as the bytes of its files, for programs that keep files elsewhere than on a disk.
 * @param policy a calibrated policy
 * @param name path of the JSON file, ending in `.json`; `policy.json` by default
 * @returns the contents of its two files
 * @throws PolicyError when the policy contradicts itself, so that nothing is written that cannot be read back
 */
export async function serializePolicy(policy: Policy, name = 'policy.json'): Promise<PolicyBytes> {
  const coefficients = encodeCoefficients(policy.rectify, rectificationsOf(policy));
  const file = (name.split(/[/\\]/).at(-1) as string).replace(/\.json$/, '.safetensors');
  const data = parsePolicy(
    {
      ...policy.data,
      rectify: {
        ...plainRectify(policy.rectify),
        ...(coefficients && { file, sha256: sha256(coefficients) }),
      },
    },
    name,
  );
  checkRectification(policy.rectify, reusedOf(data.schedule), name);
  // Of what will be read: coefficients of steps that use none are left out.
  const read = async (each: Policy, tensors = ''): Promise<Policy> => ({
    data: each.data,
    rectify:
      coefficients && each.rectify.form !== 'off'
        ? await decodeRectification(name, coefficients, each.data, tensors)
        : each.rectify,
  });
  const hash = policyHash(await read({ data, rectify: policy.rectify }));
  const budgets = await Promise.all(
    (policy.budgets ?? []).map(async each => {
      const own = { ...each, data: { ...each.data, rectify: plainRectify(each.rectify) } };
      checkRectification(own.rectify, reusedOf(own.data.schedule), name);
      const tensors = tensorsOfBudget(computedBy(own));
      return { ...ownFields(own.data, data), hash: policyHash(await read(own, tensors)) };
    }),
  );
  const json = `${JSON.stringify({ ...data, hash }, null, 2)}\n`;
  return { json: budgets.length > 0 ? withLines(json, budgets) : json, ...(coefficients && { coefficients }) };
}

/** JSON with a line for every budget. */
function withLines(json: string, budgets: readonly unknown[]): string {
  const lines = budgets.map(budget => `    ${JSON.stringify(budget)}`).join(',\n');
  return json.replace(/\n}\n$/, `,\n  "budgets": [\n${lines}\n  ]\n}\n`);
}

/** Where the coefficients of other budgets lie in the file: their tensors' names end so. */
const tensorsOfBudget = (computed: number): string => `.${computed}`;

/** Rectifications of all budgets by what their tensors' names end with. */
function rectificationsOf({ budgets = [] }: Policy): ReadonlyMap<string, Rectification> {
  return new Map(budgets.map(each => [tensorsOfBudget(computedBy(each)), each.rectify]));
}

/** The file of coefficients that a policy lies with. */
export interface CoefficientFile {
  /** How errors call it. */
  readonly name: string;
  /** Its content. */
  readonly bytes: Uint8Array;
}

/**
 * A policy from its files.
 * @param json what `NAME.json` holds
 * @param load fetches the file of coefficients by the name in the JSON; not called where nothing is rectified
 * @param name how errors call the JSON; `policy.json` by default
 * @returns the policy, checked
 * @throws PolicyError naming the file and what is wrong with it
 * @example
 * const load = async file => ({ name: file, bytes: new Uint8Array(await (await fetch(file)).arrayBuffer()) });
 * const policy = await deserializePolicy(await (await fetch('policy.json')).text(), load);
 */
export async function deserializePolicy(
  json: string,
  load: (file: string) => Promise<CoefficientFile>,
  name = 'policy.json',
): Promise<Policy> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new PolicyError(`${name} is not JSON.`, { hint: 'Make a policy with `ertacache calibrate`.', cause });
  }
  const data = parsePolicy(value, name);
  const coefficients = await coefficientsOf(data, load, name);
  const policy = await checkedPolicy(data, coefficients, name);
  const budgets = await Promise.all(
    budgetData(value, data, name).map(each =>
      checkedPolicy(
        each,
        coefficients,
        `${name}, budget ${each.schedule}`,
        tensorsOfBudget(computedSteps(reusedOf(each.schedule))),
      ),
    ),
  );
  return budgets.length > 0 ? { ...policy, budgets } : policy;
}

async function checkedPolicy(
  { hash: written, ...data }: PolicyData,
  coefficients: CoefficientFile | undefined,
  name: string,
  tensors = '',
): Promise<Policy> {
  const { form } = data.rectify;
  const rectify: Rectification =
    form === 'off' || !coefficients
      ? { form: 'off' }
      : await decodeRectification(coefficients.name, coefficients.bytes, data, tensors);
  const policy = { data, rectify };
  checkRectification(policy.rectify, reusedOf(data.schedule), name);
  // Names of terms, steps and all else that the coefficients' own hash does not vouch for.
  if (written === undefined || written === policyHash(policy)) return policy;
  throw new PolicyError(`${name} has changed since it was written: its hash is another.`, {
    hint: 'Put it back as it was, or calibrate again; without its line "hash" it is taken as it is.',
  });
}

async function coefficientsOf(
  data: PolicyData,
  load: (file: string) => Promise<CoefficientFile>,
  name: string,
): Promise<CoefficientFile | undefined> {
  const { form, file, sha256: hash } = data.rectify;
  if (form === 'off') return undefined;
  if (!file || !hash) {
    throw new PolicyError(`${name} rectifies but does not name its file of coefficients and that file's SHA-256.`, {
      hint: 'Calibrate it again.',
    });
  }
  const coefficients = await load(file);
  // Before it is looked into: a cut or foreign file is told as such, not by the first of its faults.
  if (sha256(coefficients.bytes) !== hash) {
    throw new PolicyError(`${coefficients.name} is not the file that the policy was written with.`, {
      hint: 'Copy the .json and the .safetensors of a policy together, or calibrate again.',
    });
  }
  return coefficients;
}
