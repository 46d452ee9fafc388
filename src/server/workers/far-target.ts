import { z } from 'zod';
import { computeTypes } from '../../nn/bfloat16';

/** A file of weights, by its name and content: whoever is asked has it under a path of its own. */
const namedFile = z.object({ path: z.string(), sha256: z.string() });

/** A file of weights. */
export type NamedFile = z.infer<typeof namedFile>;

/** Of which model something is asked. */
export const farTargetSchema = z.object({
  /** What the workers call it. */
  model: z.string(),
  /** Its content hash. */
  hash: z.string(),
  /** The backend that must compute it: each rounds in its own way. */
  backend: z.string(),
  loading: z.object({
    dtype: z.enum(computeTypes).optional(),
    variant: z.string().optional(),
    tiling: z.boolean().optional(),
    loras: z
      .array(namedFile.extend({ scale: z.number(), component: z.literal('transformer_2').optional() }))
      .optional(),
    transformer: namedFile.optional(),
    transformer2: namedFile.optional(),
  }),
  /** The weights that LPIPS is computed with, where it is. */
  lpips: namedFile.optional(),
});

/** Of which model something is asked. */
export type FarTarget = z.infer<typeof farTargetSchema>;
