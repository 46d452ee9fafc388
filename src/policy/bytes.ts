import { checkRectification } from '../cache/check-rectify';
import type { Rectification } from '../cache/rectify';
import { PolicyError } from '../errors';
import { sha256 } from '../io/sha256';
import { decodeRectification, encodeCoefficients, plainRectify } from './coefficients';
import { type Policy, type PolicyData, parsePolicy, reusedOf } from './data';
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
  const coefficients = encodeCoefficients(policy.rectify);
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
  const rectify = coefficients ? await decodeRectification(name, coefficients, data) : policy.rectify;
  const json = JSON.stringify({ ...data, hash: policyHash({ data, rectify }) }, null, 2);
  return { json: `${json}\n`, ...(coefficients && { coefficients }) };
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
  const { hash: written, ...data } = parsePolicy(value, name);
  const policy = { data, rectify: await rectificationOf(data, load, name) };
  checkRectification(policy.rectify, reusedOf(data.schedule), name);
  // Names of terms, steps and all else that the coefficients' own hash does not vouch for.
  if (written === undefined || written === policyHash(policy)) return policy;
  throw new PolicyError(`${name} has changed since it was written: its hash is another.`, {
    hint: 'Put it back as it was, or calibrate again; without its line "hash" it is taken as it is.',
  });
}

async function rectificationOf(
  data: PolicyData,
  load: (file: string) => Promise<CoefficientFile>,
  name: string,
): Promise<Rectification> {
  const { form, file, sha256: hash } = data.rectify;
  if (form === 'off') return { form };
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
  return decodeRectification(coefficients.name, coefficients.bytes, data);
}
