import { sha256 } from '../io/sha256';
import { encodeRectification, plainRectify } from './coefficients';
import { type Policy, policySchema } from './data';

/** Identifies a policy in receipts, whatever its files are called, written or not. */
export function policyHash({ data, rectify }: Policy): string {
  // Parsed, so that the order in which an object was put together does not count.
  const {
    measured: _measured,
    hash: _hash,
    bound: _bound,
    ...decisive
  } = policySchema.parse({ ...data, rectify: plainRectify(rectify) });
  const coefficients = encodeRectification(rectify);
  return sha256(JSON.stringify([decisive, coefficients ? sha256(coefficients) : ''])).slice(0, 16);
}
