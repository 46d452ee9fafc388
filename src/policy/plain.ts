import { z } from 'zod';
import { checkRectification } from '../cache/check-rectify';
import type { Rectification } from '../cache/rectify';
import { type Policy, parsePolicy, reusedOf } from './data';

const affineSchema = z.object({
  form: z.enum(['linear', 'sigmoid']),
  channelAxis: z.int(),
  steps: z.array(z.object({ K: z.array(z.number()), B: z.array(z.number()) }).nullable()),
});
const rectificationSchema: z.ZodType<Rectification> = z.discriminatedUnion('form', [
  z.object({ form: z.literal('off') }),
  z.object({ form: z.literal('lsq'), steps: z.array(z.record(z.string(), z.number()).nullable()) }),
  affineSchema,
]);
const plainSchema = z.object({ data: z.unknown(), rectify: rectificationSchema });

/**
 * Policies as JSON for another process, each with its coefficients in the order in which they were fitted: files have them
 * in another one, and what is summed in another order has other last digits.
 */
export const plainPolicies = (policies: readonly Policy[]): string =>
  JSON.stringify(policies.map(({ data, rectify }) => ({ data, rectify })));

/** @throws PolicyError for one that contradicts itself */
export function parsePlainPolicies(text: string): Policy[] {
  return z
    .array(plainSchema)
    .parse(JSON.parse(text))
    .map(({ data: given, rectify }) => {
      const data = parsePolicy(given, 'The policy');
      checkRectification(rectify, reusedOf(data.schedule));
      return { data, rectify };
    });
}
