import { checkRectification } from '../cache/check-rectify';
import type { CachePolicy } from '../cache/policy';
import { isObject, wrongArgument } from '../io/arguments';
import { type Policy, parsePolicy, reusedOf } from './data';

const HINT =
  "Read a policy's file first, `await readPolicy('my-policy.json')`, or name the file in the request: `policy: 'my-policy.json'`.";

/** @throws UsageError unless a value is a calibrated policy, PolicyError when that contradicts itself */
export function requirePolicy(name: string, value: unknown): asserts value is Policy {
  if (!isObject(value) || !isObject(value.data) || !isObject(value.rectify)) {
    throw wrongArgument(name, value, 'a policy, as `readPolicy` and `calibrate` give it', HINT);
  }
  for (const { data, rectify } of [value as unknown as Policy, ...((value.budgets ?? []) as Policy[])]) {
    checkRectification(rectify, reusedOf(parsePolicy(data, 'The policy').schedule));
  }
}

/** @throws UsageError unless a value is a calibrated policy or a caching method, PolicyError when it contradicts itself */
export function requireCaching(name: string, value: unknown): asserts value is Policy | CachePolicy {
  if (isObject(value) && typeof value.begin === 'function') return;
  if (isObject(value) && 'data' in value) return requirePolicy(name, value);
  throw wrongArgument(name, value, 'a policy or a caching method', HINT);
}
