import { z } from 'zod';
import { UsageError } from '../errors';
import { count, MOST } from '../io/counts';
import { lastPart } from '../io/folder';
import { seedJson, seedOf } from '../random/seed';
import { drawnFields, embeddingsFields, type FullRequest, initFields, loraFields, transformerFields } from './request';

const { prompt, negativePrompt, trueCfgScale, guidance2, guidanceInterval, shift } = drawnFields;
const { seed, size, maxSequenceLength, vaeTiling, dtype, variant, scale } = drawnFields;

/** What a picture carries so that it can be made again. The order of the fields is that of the written receipt. */
export const receiptSchema = z.object({
  /** Always `ertacache`. */
  tool: z.literal('ertacache'),
  /** Version of ertacache that drew it. */
  version: z.string(),
  /** Name, content hash and folder of the model. */
  model: z.object({ id: z.string(), hash: z.string(), path: z.string() }),
  /** The file of the transformer, where it was not the folder's own. */
  transformer: z.object(transformerFields).optional(),
  /** That of the second transformer, of a model that has two. */
  transformer2: z.object(transformerFields).optional(),
  /** What was drawn. */
  prompt,
  /** What was steered away from. */
  negativePrompt,
  /** Seed of the noise; digits where a number would not be exact. */
  seed: seed.transform(seedJson),
  /** Denoising steps. */
  steps: count(MOST.steps),
  /** Strength of classifier-free guidance. */
  guidance: z.number(),
  trueCfgScale,
  guidance2,
  guidanceInterval,
  shift,
  /** What was asked for where it was not the model's own. */
  size,
  /** Tokens that the prompt was cut or padded to, where it was not the model's own number. */
  maxSequenceLength,
  /** The picture that the run began with. */
  init: z.object(initFields).optional(),
  /** The file that the prompt's embeddings came from. */
  embeddings: z.object(embeddingsFields).optional(),
  /** What was merged into the model. */
  loras: z.array(z.object(loraFields)).optional(),
  /** Whether the picture was decoded in tiles. */
  vaeTiling,
  /** Where it was not float32. */
  dtype,
  variant,
  /** How many times the picture was enlarged. */
  scale,
  /** The backend that it was drawn on; another one gives slightly different values. */
  backend: z.string(),
  /** On wasm: how ertacache's own kernels computed, with FMA or without; absent where tfjs's did. */
  kernels: z.enum(['fma', 'plain']).optional(),
  /** The policy that was used, or null where every step was computed. */
  policy: z.object({ name: z.string(), hash: z.string(), path: z.string().optional() }).nullable(),
  /** `#` computed, `.` reused. */
  schedule: z.string(),
  /** Full forward passes that were computed. */
  forwards: z.number(),
  /** True where the run is unlike all that the policy was calibrated on; absent where it is not, or nobody can tell. */
  outside: z.literal(true).optional(),
  /**
   * What the PSNR of its 8-bit pixels to those of the uncached picture is at least, in dB, and for what share of pictures such
   * a bound holds; null where the run is unlike those that this was measured on, absent where the policy has no bound.
   */
  bound: z.object({ psnr: z.number(), confidence: z.number() }).nullable().optional(),
});

/** What a picture carries so that it can be made again, bit for bit on the same backend: see `repeat`. */
export type Receipt = z.infer<typeof receiptSchema>;

/**
 * A receipt, checked.
 * @param value JSON that was read from a file, such as `readReceipt` returns
 * @param path how errors call the file
 * @returns the receipt
 * @throws UsageError when a file's receipt is not one that a run can be repeated from
 */
export function parseReceipt(value: unknown, path: string): Receipt {
  const parsed = receiptSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const fault = issue && issue.path.length > 0 ? `: ${issue.path.join('.')}: ${issue.message}` : '';
  throw new UsageError(`The receipt in ${path} does not describe a run of ertacache${fault}.`, {
    hint: 'Use a picture that `ertacache sample` wrote.',
  });
}

/** A receipt for a file that goes to others: of LoRAs it has the files' names, and not where they lie on this machine. */
export function publicReceipt(receipt: Receipt): Receipt {
  const { loras } = receipt;
  if (!loras) return receipt;
  return { ...receipt, loras: loras.map(lora => ({ ...lora, path: lastPart(lora.path) })) };
}

/** The request that leads to the picture of a receipt; its policy is identified by hash, see `repeat`. */
export function requestOf(receipt: Receipt): FullRequest {
  const {
    tool: _,
    version: __,
    model,
    backend: _b,
    kernels: _k,
    policy,
    schedule: _s,
    forwards: _f,
    outside: _o,
    bound: _bound,
    ...drawn
  } = receipt;
  const seed = seedOf(drawn.seed) ?? 0;
  return { ...drawn, seed, model: model.path, policy: policy ? (policy.path ?? 'auto') : 'none' };
}
