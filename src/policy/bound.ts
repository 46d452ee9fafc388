import { z } from 'zod';
import { signalNames } from '../cache/signal';

const positive = z.number().positive();
const byConfidence = z.array(z.object({ confidence: z.number().gt(0).lt(1), dB: z.number() }));

/**
 * What the pictures of a policy keep at least: PSNR of 8-bit pixels to the uncached pictures, in dB. It belongs to one
 * schedule with its weights.
 */
export const boundSchema = z.object({
  /** How many pairs it was found on; neither the fit nor a choice of the policy has seen them. */
  pairs: z.int().positive(),
  /** Whether their prompts were those that the model lists: then it says nothing of other prompts. */
  listed: z.literal(true).optional(),
  /** What all of them were steered away from; null where some were, each from something else. */
  negative: z.string().nullable().optional(),
  /** The number type that the model computed in, where it was not float32. */
  dtype: z.literal('bfloat16').optional(),
  /** Of the latents of one picture. */
  shape: z.array(z.int().positive()),
  /** How far guidance's two outputs lay apart at the last step before one is reused: the least and the most. */
  gap: z.object({ step: z.int().nonnegative(), from: z.number().min(0), to: z.number().min(0) }).optional(),
  /** What so many of all pictures reach. */
  all: byConfidence.min(1),
  /** For each picture by itself: an estimate from the signals of its computed steps, and by how much it is too high. */
  each: z
    .object({
      base: z.number(),
      terms: z.array(
        z.object({
          step: z.int().nonnegative(),
          signal: z.enum(signalNames),
          weight: z.number(),
          from: positive,
          to: positive,
        }),
      ),
      most: z.number(),
      margins: byConfidence.min(1),
    })
    .optional(),
});

/** What the pictures of a policy keep at least, as its file holds it. */
export type PolicyBound = z.infer<typeof boundSchema>;
