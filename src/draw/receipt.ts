import { z } from 'zod';
import { UsageError } from '../errors';
import { count, MOST } from '../io/counts';
import { drawnFields, embeddingsFields, type FullRequest, initFields } from './request';

const { prompt, negativePrompt, seed, size, maxSequenceLength, vaeTiling, dtype, variant, scale } = drawnFields;

/** What a picture carries so that it can be made again. The order of the fields is that of the written receipt. */
export const receiptSchema = z.object({
  tool: z.literal('ertacache'),
  version: z.string(),
  model: z.object({ id: z.string(), hash: z.string(), path: z.string() }),
  prompt,
  negativePrompt,
  seed,
  steps: count(MOST.steps),
  guidance: z.number(),
  /** What was asked for where it was not the model's own. */
  size,
  maxSequenceLength,
  /** The picture that the run began with. */
  init: z.object(initFields).optional(),
  /** The file that the prompt's embeddings came from. */
  embeddings: z.object(embeddingsFields).optional(),
  vaeTiling,
  /** Where it was not float32. */
  dtype,
  variant,
  scale,
  backend: z.string(),
  /** The policy that was used, or null where every step was computed. */
  policy: z.object({ name: z.string(), hash: z.string(), path: z.string().optional() }).nullable(),
  /** `#` computed, `.` reused. */
  schedule: z.string(),
  /** Full forward passes that were computed. */
  forwards: z.number(),
});

/** What a picture carries so that it can be made again, bit for bit on the same backend: see `repeat`. */
export type Receipt = z.infer<typeof receiptSchema>;

/** @throws UsageError when a file's receipt is not one that a run can be repeated from */
export function parseReceipt(value: unknown, path: string): Receipt {
  const parsed = receiptSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UsageError(`The receipt in ${path} does not describe a run of ertacache.`, {
    hint: 'Use a picture that `ertacache sample` wrote.',
  });
}

/** The request that leads to the picture of a receipt; its policy is identified by hash, see `repeat`. */
export function requestOf(receipt: Receipt): FullRequest {
  const { tool: _, version: __, model, backend: ___, policy, schedule: ____, forwards: _____, ...drawn } = receipt;
  return { ...drawn, model: model.path, policy: policy ? (policy.path ?? 'auto') : 'none' };
}
