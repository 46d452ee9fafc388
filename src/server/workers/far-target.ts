import { z } from 'zod';
import { computeTypes } from '../../nn/bfloat16';

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
  }),
});

/** Of which model something is asked. */
export type FarTarget = z.infer<typeof farTargetSchema>;
