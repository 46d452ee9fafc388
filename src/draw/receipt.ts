import { z } from 'zod';
import { UsageError } from '../errors';
import { computeTypes } from '../nn/bfloat16';

/** What a picture carries so that it can be made again. */
export const receiptSchema = z.object({
  tool: z.literal('ertacache'),
  version: z.string(),
  model: z.object({ id: z.string(), hash: z.string(), path: z.string() }),
  prompt: z.string(),
  negativePrompt: z.string().optional(),
  seed: z.int().nonnegative(),
  steps: z.int().positive(),
  guidance: z.number(),
  /** What was asked for where it was not the model's own. */
  size: z.object({ width: z.int(), height: z.int(), frames: z.int() }).partial().optional(),
  maxSequenceLength: z.int().optional(),
  /** The picture that the run began with. */
  init: z.object({ path: z.string(), sha256: z.string(), strength: z.number() }).optional(),
  /** The file that the prompt's embeddings came from. */
  embeddings: z.object({ path: z.string(), sha256: z.string() }).optional(),
  /** Whether the picture was decoded in tiles. */
  vaeTiling: z.boolean().optional(),
  /** What the blocks' products were computed in, where it was not float32. */
  dtype: z.enum(computeTypes).optional(),
  scale: z.int().positive(),
  backend: z.string(),
  /** The policy that was used, or null where every step was computed. */
  policy: z.object({ name: z.string(), hash: z.string(), path: z.string().optional() }).nullable(),
  /** `#` computed, `.` reused. */
  schedule: z.string(),
  /** Full forward passes that were computed. */
  forwards: z.number(),
});

export type Receipt = z.infer<typeof receiptSchema>;

/** @throws UsageError when a file's receipt is not one that a run can be repeated from */
export function parseReceipt(value: unknown, path: string): Receipt {
  const parsed = receiptSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UsageError(`The receipt in ${path} does not describe a run of ertacache.`, {
    hint: 'Use a picture that `ertacache sample` wrote.',
  });
}
