import { z } from 'zod';
import { USUAL_CONFIDENCE } from '../cache/bound';
import { UsageError } from '../errors';
import { requireObject } from '../io/arguments';
import { count, MOST } from '../io/counts';
import { computeTypes } from '../nn/bfloat16';
import { DEFAULT_MODEL } from '../pipelines/default-model';
import { isBudget } from '../policy/budget';
import { SEED_HINT, type Seed, seedOf } from '../random/seed';
import { DEFAULT_STRENGTH } from '../sampling/initial-picture';

const pixels = count(MOST.pixels);

/** A seed, which JSON holds as digits where a number is not exact. */
const seed = z.union([z.number(), z.bigint(), z.string()]).transform((value, context): Seed => {
  const found = seedOf(value);
  if (found !== undefined) return found;
  context.addIssue({ code: 'custom', message: SEED_HINT.replace(/\.$/, '') });
  return z.NEVER;
});

const share = z.number().min(0).max(1);
const rising = [
  ([from, to]: readonly [number, number]): boolean => from <= to,
  { error: 'its end must not be before its beginning' },
] as const;

/**
 * The fields that say what is drawn, spelled once: requests, receipts and command-line flags (in kebab case) take them
 * from here. What is optional is as usual for the model.
 */
export const drawnFields = {
  /** What to draw. */
  prompt: z.string({ error: ({ input }) => (input === undefined ? 'it is missing' : undefined) }),
  /** What to steer away from. */
  negativePrompt: z.string().optional(),
  /** Strength of true guidance from a second call, with a negative prompt, for models that are told their guidance. */
  trueCfgScale: z.number().nonnegative().max(MOST.guidance).optional(),
  /** Wan2.2: strength of guidance of the second expert; that of the first unless given. */
  guidance2: z.number().nonnegative().max(MOST.guidance).optional(),
  /** From and to which share of the way from noise to picture guidance acts. */
  guidanceInterval: z
    .tuple([share, share])
    .readonly()
    .refine(...rising)
    .optional(),
  /** Pushes the noise levels of flow-matching models towards noise, in place of the model's own shift. */
  shift: z.number().positive().max(MOST.shift).optional(),
  /** PyTorch draws the same noise from it. */
  seed,
  /** Pixels, and frames of a clip. */
  size: z
    .object({ width: pixels, height: pixels, frames: count(MOST.frames) })
    .partial()
    .optional(),
  /** Tokens that a prompt is cut or padded to. */
  maxSequenceLength: count(MOST.tokens).optional(),
  /** Decodes large pictures in overlapping tiles. */
  vaeTiling: z.boolean().optional(),
  /** What the products of the transformer's blocks are computed in; float32 by default. */
  dtype: z.enum(computeTypes).optional(),
  /** Takes the weight files of this variant, such as `fp16`. */
  variant: z.string().min(1).optional(),
  /** Enlarges the picture this many times, pixel by pixel. */
  scale: count(MOST.scale),
} as const;

/** A file that a run draws on, and what it must hold. */
const file = { path: z.string(), sha256: z.string() } as const;

/** The file of a transformer, in place of the folder's own. */
export const transformerFields = file;
/** The picture that a run begins with, and how much of it is drawn anew. */
export const initFields = { ...file, strength: z.number().min(0).max(1) } as const;
/** A LoRA that is merged into the model, by how much it is multiplied, and into which transformer where that is the second. */
export const loraFields = {
  ...file,
  scale: z.number().min(-MOST.loraScale).max(MOST.loraScale),
  component: z.literal('transformer_2').optional(),
} as const;
/** Prompt embeddings that take the place of the text encoders. */
export const embeddingsFields = file;

/** How much of a run is computed, by the policy of that budget; one of them is given at most. */
export const budgetFields = {
  /** At most so many forward passes. */
  forwards: count(MOST.steps).optional(),
  /** At most one step in so many. */
  speedup: z.number().min(1).max(MOST.steps).optional(),
  /** The fewest forward passes whose mean PSNR, in dB, was measured to reach this. */
  psnr: z.number().min(0).max(100).optional(),
  /**
   * The fewest forward passes whose pictures keep this PSNR of their 8-bit pixels, in dB, with this confidence, by the bounds
   * of policies. A picture that may be below is computed again with more, at last with all.
   */
  guarantee: z
    .object({
      psnr: z.number().min(0).max(100),
      confidence: z.number().gt(0).lt(1).default(USUAL_CONFIDENCE),
    })
    .optional(),
} as const;

/** What `draw` is asked for. */
export const requestSchema = z.strictObject({
  ...drawnFields,
  seed: drawnFields.seed.default(0),
  scale: drawnFields.scale.default(1),
  /** A model's folder, or the name of one that ships with ertacache. */
  model: z.string().default(DEFAULT_MODEL),
  /** The transformer's file, GGUF or safetensors, in place of the folder's own. */
  transformer: z.object({ ...transformerFields, sha256: transformerFields.sha256.optional() }).optional(),
  /** The same for the second transformer of a pipeline that has two. */
  transformer2: z.object({ ...transformerFields, sha256: transformerFields.sha256.optional() }).optional(),
  /** Denoising steps; the model's usual number by default. */
  steps: count(MOST.steps).optional(),
  /** Strength of classifier-free guidance; 1 turns it off. */
  guidance: z.number().nonnegative().max(MOST.guidance).optional(),
  /** The picture to begin with: its file, its SHA-256 where it must be that very file, and how much is drawn anew. */
  init: z
    .object({
      ...initFields,
      sha256: initFields.sha256.optional(),
      strength: initFields.strength.default(DEFAULT_STRENGTH),
    })
    .optional(),
  /** A file of prompt embeddings, in place of the text encoders. */
  embeddings: z.object({ ...embeddingsFields, sha256: embeddingsFields.sha256.optional() }).optional(),
  /** LoRAs that are merged into the model, in this order: files or folders of peft, and by how much each is multiplied. */
  loras: z
    .array(z.object({ ...loraFields, sha256: loraFields.sha256.optional(), scale: loraFields.scale.default(1) }))
    .optional(),
  /** A policy's file, `auto` for the shipped one that fits, or `none` to compute every step. */
  policy: z.string().default('auto'),
  ...budgetFields,
});

/**
 * What `draw` is asked for, as JSON: the same fields as the flags of `ertacache sample` and a picture's receipt.
 * Everything but the prompt may be left out.
 */
export type Request = z.input<typeof requestSchema>;
/** A request with its defaults filled in. */
export type FullRequest = z.output<typeof requestSchema>;

/**
 * A request with its defaults filled in.
 * @throws UsageError naming the field that is wrong
 */
export function parseRequest(request: Request): FullRequest {
  requireObject('request', request, 'an object with a prompt', "For example { prompt: 'red heart', seed: 1 }.");
  const parsed = requestSchema.safeParse(request);
  if (parsed.success) {
    if (isBudget(parsed.data) && parsed.data.policy === 'none') {
      throw new UsageError('With the policy none every step is computed, and a budget is given as well.', {
        hint: 'Leave out one of them.',
      });
    }
    return parsed.data;
  }
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.');
  const reason = issue?.message.replace(/\.$/, '');
  throw new UsageError(`${field ? `The ${field} of the request` : 'The request'} is wrong: ${reason}.`, {
    hint: 'The fields are those of the type Request.',
  });
}
